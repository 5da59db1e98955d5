// SPDX-License-Identifier: MIT
#include "pipelines/engine/text_to_image.hpp"

#include <algorithm>
#include <random>
#include <regex>
#include <thread>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <fmt/format.h>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>

#include "pipelines/engine/guarded.hpp"
#include "pipelines/engine/png.hpp"
#include "pipelines/engine/sizes.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "runtime/base/clock.hpp"

namespace lp::engine {

namespace {

namespace json = boost::json;

/// Pixels of one job's pictures together, which bounds its memory.
constexpr std::int64_t max_job_pixels = std::int64_t{16} << 20;

/// A job's parameters as the model takes them.
struct job {
  drawing_request request;
  size_plan size;
  std::int64_t seed = 0;
  std::vector<std::string> notes;
};

/// What a distilled model's id fixes.
struct distilled {
  bool without_guidance = false;
  int steps = 0;  ///< 0: as requested
};

distilled distilled_from(const std::string& id) {
  static const std::regex steps_in_id("_([0-9]{1,2})step");
  std::smatch found;
  if (std::regex_search(id, found, steps_in_id) && std::stoi(found[1]) > 0)
    return {true, std::stoi(found[1])};
  return {id.ends_with("-turbo"), 0};
}

std::string text(const json::object& params, std::string_view key) {
  const auto* value = params.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::int64_t integer(const json::object& params, std::string_view key, std::int64_t fallback) {
  const auto* value = params.if_contains(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : fallback;
}

double number(const json::object& params, std::string_view key, double fallback) {
  const auto* value = params.if_contains(key);
  return value != nullptr && value->is_number() ? value->to_number<double>() : fallback;
}

std::int64_t choose_seed(const json::object& params) {
  const auto* given = params.if_contains("seed");
  if (given != nullptr && given->is_int64()) return given->get_int64();
  return std::random_device{}();
}

error wrong(const char* field, const std::string& what) {
  return {ec::invalid_parameters,
          fmt::format("{}: {}", field, what),
          {{{"body", field}, what, "value_error"}}};
}

result<void> check_amount(const size_plan& size, std::int64_t pictures) {
  const auto pixels =
      std::max(size.wanted.width * size.wanted.height, size.drawn.width * size.drawn.height);
  const auto most = std::max<std::int64_t>(1, max_job_pixels / pixels);
  if (pictures >= 1 && pictures <= most) return {};
  return fail(wrong("num_images_per_prompt",
                    fmt::format("Expected 1 to {} at {} pixels", most, to_string(size.wanted))));
}

/// The 8-bit pixels of a [1, 3, h, w] picture in [0, 1].
rgb_image to_bytes(const at::Tensor& picture) {
  const auto bytes =
      (picture * 255).round().to(at::kByte).squeeze(0).permute({1, 2, 0}).contiguous();
  rgb_image out{
      static_cast<std::uint32_t>(bytes.size(1)), static_cast<std::uint32_t>(bytes.size(0)), {}};
  out.pixels.assign(reinterpret_cast<const char*>(bytes.data_ptr()),
                    static_cast<std::size_t>(bytes.numel()));
  return out;
}

/// Adds the time until it goes out of scope.
class stopwatch {
 public:
  explicit stopwatch(double& sum) : sum_(sum) {}
  ~stopwatch() { sum_ += to_ms(clock::now() - start_); }
  stopwatch(const stopwatch&) = delete;
  stopwatch& operator=(const stopwatch&) = delete;

 private:
  double& sum_;
  time_point start_ = clock::now();
};

/// Denoising steps, then one step a picture for its pixels and its file.
class text_to_image_run final : public pipelines::run {
 public:
  text_to_image_run(const pipelines::device& where, job j, std::unique_ptr<drawing> d,
                    double text_ms)
      : where_(where), job_(std::move(j)), drawing_(std::move(d)), text_ms_(text_ms) {}

  result<pipelines::progress> step() override {
    use_threads(where_);
    if (drawing_->done() < drawing_->total()) {
      const stopwatch watch(denoise_ms_);
      if (auto ok = drawing_->step(); !ok) return fail(ok.error());
    } else if (auto ok = finish_picture(); !ok) {
      return fail(ok.error());
    }
    const auto pictures = static_cast<int>(drawing_->count());
    return pipelines::progress{drawing_->done() + static_cast<int>(output_.files.size()),
                               drawing_->total() + pictures};
  }

  result<pipelines::output> finish() override {
    if (static_cast<std::int64_t>(output_.files.size()) != drawing_->count())
      return fail(ec::internal, "finish() before the last step()");
    output_.stages = {{"text", text_ms_},
                      {"denoise", denoise_ms_},
                      {"decode", decode_ms_},
                      {"encode", encode_ms_}};
    output_.notes = std::move(job_.notes);
    const auto& size = job_.size.wanted;
    output_.units =
        static_cast<double>(size.width * size.height * job_.request.steps * drawing_->count());
    return std::move(output_);
  }

 private:
  result<void> finish_picture() {
    const auto i = static_cast<std::int64_t>(output_.files.size());
    if (i >= drawing_->count()) return fail(ec::internal, "step() after the last");
    auto pixels = decode(i);
    if (!pixels) return fail(pixels.error());
    const stopwatch watch(encode_ms_);
    auto file = encode_png(*pixels);
    if (!file) return fail(file.error());
    output_.files.push_back({"image/png", share(std::move(*file)), job_.seed + i, false,
                             pixels->width, pixels->height});
    return {};
  }

  result<rgb_image> decode(std::int64_t i) {
    const stopwatch watch(decode_ms_);
    const auto picture = drawing_->picture(i);
    if (!picture) return fail(picture.error());
    return guarded([&]() -> result<rgb_image> {
      return to_bytes(resize_picture(*picture, job_.size.wanted));
    });
  }

  pipelines::device where_;
  job job_;
  std::unique_ptr<drawing> drawing_;
  pipelines::output output_;
  double text_ms_ = 0, denoise_ms_ = 0, decode_ms_ = 0, encode_ms_ = 0;
};

class text_to_image_model final : public pipelines::model {
 public:
  text_to_image_model(std::string name, const pipelines::device& where, model_facts facts,
                      std::shared_ptr<const stable_diffusion> pipeline)
      : name_(std::move(name)),
        where_(where),
        facts_(std::move(facts)),
        pipeline_(std::move(pipeline)) {}

  std::uint64_t bytes() const override { return pipeline_->bytes(); }

  result<std::unique_ptr<pipelines::run>> start(const pipelines::job_input& input) override {
    use_threads(where_);
    auto prepared = prepare(input.params);
    if (!prepared) return fail(prepared.error());
    double text_ms = 0;
    result<std::unique_ptr<drawing>> started;
    {
      const stopwatch watch(text_ms);
      started = stable_diffusion::start(pipeline_, prepared->request);
    }
    if (!started) return fail(started.error());
    return std::make_unique<text_to_image_run>(where_, std::move(*prepared), std::move(*started),
                                               text_ms);
  }

 private:
  result<job> prepare(const json::object& params) const {
    if (const auto loras = text(params, "loras"); !loras.empty() && loras != "{}")
      return fail(wrong("loras", "LoRA weights are not supported; leave it empty"));
    auto size = plan_size({integer(params, "width", 1024), integer(params, "height", 576)},
                          facts_.sizes, pipeline_->scale());
    if (!size) return fail(size.error());
    const auto pictures = integer(params, "num_images_per_prompt", 1);
    if (auto ok = check_amount(*size, pictures); !ok) return fail(ok.error());
    job out;
    out.size = *size;
    out.seed = choose_seed(params);
    auto& r = out.request;
    r.prompts = {text(params, "prompt")};
    r.negative_prompts = {text(params, "negative_prompt")};
    r.images_per_prompt = pictures;
    for (std::int64_t i = 0; i < pictures; ++i)
      r.seeds.push_back(static_cast<std::uint64_t>(out.seed + i));
    r.width = size->drawn.width;
    r.height = size->drawn.height;
    r.steps = static_cast<int>(integer(params, "num_inference_steps", 50));
    r.guidance_scale = number(params, "guidance_scale", 7.5);
    heed_distillation(params, out);
    heed_guidance(out);
    note(params, out);
    return out;
  }

  void heed_distillation(const json::object& params, job& j) const {
    const auto id = text(params, "model_id");
    const auto fixed = distilled_from(id.empty() ? name_ : id);
    if (fixed.without_guidance) j.request.guidance_scale = 0;
    if (fixed.steps > 0 && fixed.steps != j.request.steps) {
      j.request.steps = fixed.steps;
      j.notes.push_back(
          fmt::format("drawn in {} steps, as this model was distilled to", fixed.steps));
    }
  }

  // Clients send 7.5 unless told otherwise, which overdoes a model that was trained for less.
  void heed_guidance(job& j) const {
    if (facts_.max_guidance <= 0 || j.request.guidance_scale <= facts_.max_guidance) return;
    j.notes.push_back(fmt::format("guidance {} lowered to {}, the most this model is made for",
                                  j.request.guidance_scale, facts_.max_guidance));
    j.request.guidance_scale = facts_.max_guidance;
  }

  static void note(const json::object& params, job& j) {
    if (j.size.resizes()) j.notes.push_back(j.size.note());
    const auto* checked = params.if_contains("safety_check");
    if (checked != nullptr && checked->is_bool() && checked->get_bool())
      j.notes.emplace_back("not checked for safety: this model has no checker");
  }

  std::string name_;
  pipelines::device where_;
  model_facts facts_;
  std::shared_ptr<const stable_diffusion> pipeline_;
};

}  // namespace

void use_threads(const pipelines::device& where) {
  const int all = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const int wanted = where.threads > 0 ? where.threads : all;
  // Setting it rebuilds a thread pool, so only where it changes something.
  if (at::get_num_threads() != wanted) at::set_num_threads(wanted);
}

result<std::shared_ptr<pipelines::model>> load_image_model(const std::filesystem::path& folder,
                                                           const pipelines::device& where) {
  use_threads(where);
  stable_diffusion_options options;
  if (where.type == pipelines::device::kind::cuda)
    options.device = at::Device(at::kCUDA, static_cast<at::DeviceIndex>(where.index));
  auto pipeline = stable_diffusion::load(folder, options);
  if (!pipeline) return fail(pipeline.error());
  auto facts = read_model_facts(folder, (*pipeline)->scale());
  if (!facts) return fail(facts.error());
  const auto named = folder.has_filename() ? folder : folder.parent_path();
  return std::make_shared<text_to_image_model>(named.filename().string(), where, std::move(*facts),
                                               std::move(*pipeline));
}

}  // namespace lp::engine
