// SPDX-License-Identifier: MIT
#include "pipelines/engine/dit_model.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <random>

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>

#include "pipelines/engine/compute_scope.hpp"
#include "pipelines/engine/dit.hpp"
#include "pipelines/engine/finite.hpp"
#include "pipelines/engine/guarded.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/pixels.hpp"
#include "pipelines/engine/python_json.hpp"
#include "pipelines/engine/random.hpp"
#include "pipelines/engine/schedulers/noise_schedule.hpp"
#include "pipelines/engine/sizes.hpp"
#include "pipelines/engine/upload.hpp"
#include "runtime/base/clock.hpp"

namespace lp::engine {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

using class_names = std::map<std::string, std::int64_t>;

std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto first = out.find_first_not_of(' ');
  return first == out.npos ? std::string()
                           : out.substr(first, out.find_last_not_of(' ') - first + 1);
}

/// Every name of a class, and its number.
result<class_names> read_names(const json::object& index, const fs::path& file,
                               std::int64_t classes) {
  class_names out;
  for (std::int64_t i = 0; i < classes; ++i) out[std::to_string(i)] = i;
  const auto* labels = index.if_contains("id2label");
  if (labels == nullptr) return out;
  const auto bad = [&] {
    return fail(ec::bad_file, fmt::format("{}: id2label: expected an object from 0 .. {} to names",
                                          file.string(), classes - 1));
  };
  if (!labels->is_object()) return bad();
  for (const auto& [number, names] : labels->get_object()) {
    const auto known = out.find(std::string(number));
    if (known == out.end() || !names.is_string()) return bad();
    std::string_view rest = names.get_string();
    while (!rest.empty()) {
      const auto comma = std::min(rest.find(','), rest.size());
      out[plain(rest.substr(0, comma))] = known->second;
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return out;
}

std::int64_t integer(const json::object& params, std::string_view key, std::int64_t fallback) {
  const auto* value = params.if_contains(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : fallback;
}

struct dit_parts {
  dit_parts() = default;
  dit_parts(const dit_parts&) = delete;
  dit_parts& operator=(const dit_parts&) = delete;
  ~dit_parts() {
    settle(torch_device(where));  // runs that were given up may have left work that reads weights
    network.reset();
    give_back_memory(torch_device(where));
  }

  std::unique_ptr<dit> network;
  std::vector<double> alphas;
  class_names names;
  pipelines::device where;
  std::uint64_t bytes = 0;
};

/// What a call of the network takes for so many pictures, counting the tensors that are alive at
/// once: in a block its input and what the norm before the attention gives, beside either the
/// attention (queries and keys three times over, the scores before and after the softmax) or the
/// feed-forward part (its inside before and after the activation).
std::uint64_t call_bytes(const dit_config& c, std::int64_t pictures) {
  const auto tokens = pictures * c.side * c.side;
  const auto scores = c.heads() * tokens * c.side * c.side;
  const auto attention = std::max(5 * tokens * c.inner + scores, 4 * tokens * c.inner + 2 * scores);
  const auto feed_forward = 2 * tokens * c.hidden + 2 * tokens * c.width;
  const auto block = 4 * tokens * c.width + std::max(attention, feed_forward);
  const auto pixels = pictures * c.channels * c.picture_side() * c.picture_side();
  return static_cast<std::uint64_t>(block + 4 * pixels) * sizeof(float);
}

/// What is asked of a model, checked.
struct dit_job {
  std::int64_t label = 0;
  std::int64_t steps = 0;
  std::int64_t count = 0;
  picture_size size;
};

class dit_run final : public pipelines::run {
 public:
  dit_run(std::shared_ptr<const dit_parts> parts, std::vector<double> times, at::Tensor noise,
          const dit_job& job, std::int64_t seed, bool lean)
      : parts_(std::move(parts)),
        times_(std::move(times)),
        x_(std::move(noise)),
        label_(job.label),
        seed_(seed),
        size_(job.size),
        at_once_(lean ? 1 : x_.size(0)) {}

  result<pipelines::progress> step() override {
    const auto start = clock::now();
    auto ok = guarded([&]() -> result<void> {
      const compute_scope here(parts_->where);
      const auto time = times_.at(done_);
      const bool last = done_ + 1 == times_.size();
      const auto alpha = [&](double t) { return parts_->alphas.at(static_cast<std::size_t>(t)); };
      for (std::int64_t i = 0; i < x_.size(0); i += at_once_) {
        auto x = x_.narrow(0, i, at_once_);
        const auto labels = at::full({at_once_}, label_, x.options().dtype(at::kLong));
        const auto noise = (*parts_->network)(x, time, labels);
        x.copy_(clipped_ddim_step(x, noise, alpha(time), last ? 1.0 : alpha(times_[done_ + 1])));
      }
      ++done_;
      return {};
    });
    denoise_ms_ += to_ms(clock::now() - start);
    if (!ok) return fail(ok.error());
    return pipelines::progress{static_cast<int>(done_), static_cast<int>(times_.size())};
  }

  result<pipelines::output> finish() override {
    return guarded([&]() -> result<pipelines::output> {
      const compute_scope here(parts_->where);
      pipelines::output out;
      const auto drawn = x_.cpu();
      if (!all_finite(drawn))
        return fail(ec::pipeline_failed,
                    "the network's result is not finite (NaN or infinite): weights that are "
                    "damaged, or numbers beyond what its type holds");
      for (std::int64_t i = 0; i < x_.size(0); ++i) {
        const auto picture = (drawn.narrow(0, i, 1) / 2 + 0.5).clamp(0, 1).expand({1, 3, -1, -1});
        const auto pixels = to_pixels(resize_picture(picture, size_));
        auto file = encode_png(pixels);
        if (!file) return fail(file.error());
        out.files.push_back(
            {"image/png", share(std::move(*file)), seed_ + i, false, pixels.width, pixels.height});
      }
      out.stages = {{"denoise", denoise_ms_}};
      out.units = static_cast<double>(size_.width * size_.height * x_.size(0)) *
                  static_cast<double>(times_.size());
      return out;
    });
  }

 private:
  std::shared_ptr<const dit_parts> parts_;
  std::vector<double> times_;
  at::Tensor x_;
  std::int64_t label_;
  std::int64_t seed_;
  picture_size size_;
  std::int64_t at_once_;  ///< pictures a call
  std::size_t done_ = 0;
  double denoise_ms_ = 0;
};

class dit_model final : public pipelines::model {
 public:
  explicit dit_model(std::shared_ptr<const dit_parts> parts) : parts_(std::move(parts)) {}

  std::uint64_t bytes() const override { return parts_->bytes; }

  result<pipelines::memory_need> memory_for(const pipelines::job_input& input) const override {
    const auto job = read(input);
    if (!job) return fail(job.error());
    return pipelines::memory_need{parts_->bytes, peak(*job, job->count), peak(*job, 1)};
  }

  std::string what_fits(const pipelines::job_input& input, std::uint64_t most) const override {
    auto job = read(input);
    if (!job) return {};
    while (job->count > 1 && peak(*job, 1) > most) job->count /= 2;
    if (peak(*job, 1) > most) return {};
    return fmt::format("{} picture{}", job->count, job->count == 1 ? "" : "s");
  }

  result<std::unique_ptr<pipelines::run>> start(const pipelines::job_input& input) override {
    auto job = read(input);
    if (!job) return fail(job.error());
    const auto drawn = label(input.params);
    if (!drawn) return fail(drawn.error());
    job->label = *drawn;
    const auto* given = input.params.if_contains("seed");
    const auto seed = given != nullptr && given->is_int64()
                          ? given->get_int64()
                          : static_cast<std::int64_t>(std::random_device{}());
    return guarded([&]() -> result<std::unique_ptr<pipelines::run>> {
      const compute_scope here(parts_->where);
      std::vector<at::Generator> generators;
      for (std::int64_t i = 0; i < job->count; ++i)
        generators.push_back(seeded_generator(static_cast<std::uint64_t>(seed + i)));
      const auto last = static_cast<double>(parts_->alphas.size() - 1);
      auto times = linspace(last, 0, static_cast<int>(job->steps));
      for (auto& t : times) t = std::trunc(t);
      const auto& c = parts_->network->config();
      auto noise =
          draw_noise({job->count, c.channels, c.picture_side(), c.picture_side()}, generators);
      return std::make_unique<dit_run>(parts_, std::move(times),
                                       upload(noise, torch_device(parts_->where)), *job, seed,
                                       input.lean);
    });
  }

 private:
  /// The highest point of a job that calls the network with so many pictures, or that brings one
  /// to its size. All are kept, with the noise drawn and the file of each.
  std::uint64_t peak(const dit_job& job, std::int64_t at_once) const {
    const auto& c = parts_->network->config();
    const auto kept = job.count * c.channels * c.picture_side() * c.picture_side() * 2;
    const auto pixels = job.size.width * job.size.height * 3;
    const auto finishing = static_cast<std::uint64_t>(3 * pixels) * sizeof(float);
    return std::max(call_bytes(c, at_once), finishing) +
           static_cast<std::uint64_t>(kept) * sizeof(float) +
           static_cast<std::uint64_t>(job.count * pixels);
  }

  result<std::int64_t> label(const boost::json::object& params) const {
    const auto* prompt = params.if_contains("prompt");
    const auto asked = prompt != nullptr && prompt->is_string() ? plain(prompt->get_string()) : "";
    const auto known = parts_->names.find(asked);
    if (known != parts_->names.end()) return known->second;
    return fail(ec::invalid_parameters,
                fmt::format("prompt: this model draws classes; expected the name of one or a "
                            "number from 0 to {}",
                            parts_->network->config().classes - 1));
  }

  /// All but what is drawn: what a job needs is the same for every class.
  result<dit_job> read(const pipelines::job_input& input) const {
    const auto& params = input.params;
    const auto wrong = [](const std::string& what) { return fail(ec::invalid_parameters, what); };
    dit_job out;
    const auto train = static_cast<std::int64_t>(parts_->alphas.size());
    out.steps = integer(params, "num_inference_steps", 50);
    if (out.steps < 1 || out.steps > train)
      return wrong(fmt::format("num_inference_steps: expected 1 to {}", train));
    out.count = integer(params, "num_images_per_prompt", 1);
    if (out.count < 1 || out.count > 64) return wrong("num_images_per_prompt: expected 1 to 64");
    const auto own = parts_->network->config().picture_side();
    const auto size =
        plan_size({integer(params, "width", 64), integer(params, "height", 64)}, {{own, own}}, own);
    if (!size) return fail(size.error());
    out.size = size->wanted;
    return out;
  }

  std::shared_ptr<const dit_parts> parts_;
};

}  // namespace

result<std::shared_ptr<pipelines::model>> load_dit_model(const fs::path& folder,
                                                         const pipelines::device& where) {
  return guarded([&]() -> result<std::shared_ptr<pipelines::model>> {
    auto parts = std::make_shared<dit_parts>();
    parts->where = where;
    auto network = load_dit(folder / "transformer", torch_device(where), &parts->bytes);
    if (!network) return fail(network.error());
    parts->network = std::move(*network);
    const auto index_file = folder / "model_index.json";
    const auto index = read_json_file(index_file);
    if (!index) return fail(index.error());
    auto names = read_names(*index, index_file, parts->network->config().classes);
    if (!names) return fail(names.error());
    parts->names = std::move(*names);
    const auto config = read_python_json_file(folder / "scheduler" / "scheduler_config.json");
    if (!config) return fail(config.error());
    settings read(*config);
    parts->alphas = noise_schedule(read, false).alphas_cumprod();
    if (auto ok = read.check(); !ok) return fail(ok.error());
    return std::make_shared<dit_model>(std::move(parts));
  });
}

}  // namespace lp::engine
