// SPDX-License-Identifier: MIT
#include "pipelines/engine/image_model.hpp"

#include <algorithm>
#include <map>
#include <mutex>

#include <ATen/TensorOperators.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>

#include "pipelines/engine/compute_scope.hpp"
#include "pipelines/engine/dit_model.hpp"
#include "pipelines/engine/guarded.hpp"
#include "pipelines/engine/image_request.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/pixels.hpp"
#include "pipelines/engine/safety_checker.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "pipelines/engine/variant_shelf.hpp"
#include "pipelines/weights/lost_files.hpp"
#include "pipelines/weights/model_stamp.hpp"
#include "pipelines/weights/part_weights.hpp"
#include "runtime/base/clock.hpp"

namespace lp::engine {

namespace {

namespace fs = std::filesystem;

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
class image_run final : public pipelines::run {
 public:
  image_run(const pipelines::device& where, image_job j, std::unique_ptr<drawing> d, double text_ms)
      : where_(where), job_(std::move(j)), drawing_(std::move(d)), text_ms_(text_ms) {
    job_.request.image.reset();
    job_.request.mask.reset();
  }

  result<pipelines::progress> step() override {
    const compute_scope scope(where_);
    if (drawing_->done() < drawing_->total()) {
      const stopwatch watch(denoise_ms_);
      if (auto ok = drawing_->step(); !ok) return fail(ok.error());
    } else if (auto ok = finish_picture(); !ok) {
      return fail(ok.error());
    }
    return here();
  }

  std::uint64_t batch_key() const override {
    return drawing_->done() < drawing_->total() ? drawing_->batch_key() : 0;
  }

  std::vector<result<pipelines::progress>> step_with(
      std::span<pipelines::run* const> others) override {
    if (others.empty()) return run::step_with(others);
    std::vector<image_run*> all{this};
    for (auto* other : others) {
      auto* same = dynamic_cast<image_run*>(other);
      if (same == nullptr || batch_key() == 0 || same->batch_key() != batch_key())
        return run::step_with(others);
      all.push_back(same);
    }
    const compute_scope scope(where_);
    std::vector<drawing*> drawings;
    for (auto* r : all) drawings.push_back(r->drawing_.get());
    double ms = 0;
    std::vector<result<void>> outcomes;
    {
      const stopwatch watch(ms);
      outcomes = drawing::step_together(drawings);
    }
    std::vector<result<pipelines::progress>> out;
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i]->denoise_ms_ += ms;
      out.push_back(outcomes[i] ? result<pipelines::progress>(all[i]->here())
                                : fail(outcomes[i].error()));
    }
    return out;
  }

  result<pipelines::media> preview() const override {
    const compute_scope scope(where_);
    const auto picture = drawing_->preview(0);
    if (!picture) return fail(picture.error());
    return guarded([&]() -> result<pipelines::media> {
      const auto pixels = to_pixels(*picture);
      auto file = encode_png(pixels);
      if (!file) return fail(file.error());
      return pipelines::media{"image/png",  share(std::move(*file)), job_.seed, false, pixels.width,
                              pixels.height};
    });
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
  pipelines::progress here() const {
    return {drawing_->done() + static_cast<int>(output_.files.size()),
            drawing_->total() + static_cast<int>(drawing_->count())};
  }

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
    if (!job_.size.resizes()) return drawing_->pixels(i);
    const auto picture = drawing_->picture(i);
    if (!picture) return fail(picture.error());
    return guarded([&]() -> result<rgb_image> {
      return to_pixels(resize_picture(*picture, job_.size.wanted));
    });
  }

  pipelines::device where_;
  image_job job_;
  std::unique_ptr<drawing> drawing_;
  pipelines::output output_;
  double text_ms_ = 0, denoise_ms_ = 0, decode_ms_ = 0, encode_ms_ = 0;
};

using pipeline = variant_shelf::pipeline;

/// A folder without the part that its index names, or without the part's weights, runs all the
/// same, unchecked.
bool has_safety_checker(const fs::path& folder) {
  std::error_code ignored;
  const auto checker = folder / "safety_checker";
  if (!fs::exists(checker / "config.json", ignored) || !pipelines::find_weights(checker))
    return false;
  const auto index = read_json_file(folder / "model_index.json");
  const auto* part = index ? index->if_contains("safety_checker") : nullptr;
  const auto* named = part != nullptr ? part->if_array() : nullptr;
  return named != nullptr && named->size() == 2 && (*named)[1].is_string() &&
         (*named)[1].get_string() == "StableDiffusionSafetyChecker";
}

class image_model final : public pipelines::model {
 public:
  image_model(image_model_facts facts, const pipelines::device& where, const fs::path& folder,
              pipeline p)
      : facts_(std::move(facts)), where_(where), pipeline_(p), shelf_(folder, p) {}

  result<void> warm() {
    std::vector<std::string> notes;
    const auto made = shelf_.get(facts_.sizes.loras, notes);
    if (!made) return fail(made.error());
    own_variants_ = shelf_.kept_bytes();
    return {};
  }

  /// What was held when it was loaded: variants that requests ask for are part of their peaks.
  std::uint64_t bytes() const override {
    return pipeline_->bytes() + own_variants_ + (safety_ ? safety_->bytes() : 0);
  }
  std::shared_ptr<pipelines::safety_classifier> safety() const override { return safety_; }

  std::vector<std::string> notes() const override { return pipeline_->notes(); }

  /// Opens the safety checker that model_index.json names, if it is there.
  result<void> open_safety(const fs::path& folder) {
    if (!has_safety_checker(folder)) return {};
    auto opened = open_safety_checker(folder / "safety_checker", where_.low_memory);
    if (!opened) return fail(opened.error());
    safety_ = std::move(*opened);
    return {};
  }

  result<pipelines::memory_need> memory_for(const pipelines::job_input& input) const override {
    auto job = read_image_job(input, facts_, false);
    if (!job) return fail(job.error());
    auto& request = job->request;
    request.encodes = !input.pictures.empty();
    const auto foreseen = foresee(job->loras);
    if (!foreseen) return fail(foreseen.error());
    const auto peak = foreseen->peak(request);
    request.lean = true;
    return pipelines::memory_need{bytes(), peak, foreseen->peak(request)};
  }

  std::string what_fits(const pipelines::job_input& input, std::uint64_t peak) const override {
    const auto asked = read_image_job(input, facts_, false);
    if (!asked) return {};
    const auto foreseen = foresee(asked->loras);
    if (!foreseen) return {};
    auto request = asked->request;
    request.encodes = !input.pictures.empty();
    request.lean = true;
    // Fewer pictures first, then smaller ones of about the same shape.
    const auto fits = [&] { return foreseen->peak(request) <= peak; };
    while (request.images_per_prompt > 1 && !fits()) request.images_per_prompt /= 2;
    if (facts_.kind == diffusion_kind::upscaling || !facts_.sizes.sizes.empty())
      return fits() ? told(request) : std::string();
    const auto step = facts_.scale * 8;
    for (auto side = request.width; !fits(); side -= step) {
      if (side <= min_picture_side) return {};
      request.width = side / step * step;
      request.height =
          std::max(step, asked->request.height * side / asked->request.width / step * step);
      if (request.width < min_picture_side || request.height < min_picture_side) return {};
    }
    return told(request);
  }

  result<std::unique_ptr<pipelines::run>> start(const pipelines::job_input& input) override {
    const compute_scope scope(where_);
    auto job = guarded([&] { return read_image_job(input, facts_); });
    if (!job) return fail(job.error());
    job->request.lean = input.lean;
    if (input.lean) job->notes.push_back("drawn with as little memory as can be");
    const auto variant = shelf_.get(job->loras, job->notes);
    if (!variant) return fail(variant.error());
    double text_ms = 0;
    result<std::unique_ptr<drawing>> started;
    {
      const stopwatch watch(text_ms);
      started = stable_diffusion::start(*variant, job->request);
    }
    if (!started) return fail(started.error());
    for (const auto* more : {&(*variant)->notes(), &(*started)->notes()})
      job->notes.insert(job->notes.end(), more->begin(), more->end());
    return std::make_unique<image_run>(where_, std::move(*job), std::move(*started), text_ms);
  }

 private:
  result<variant_shelf::foresight> foresee(const std::map<std::string, double>& loras) const {
    return guarded([&]() -> result<variant_shelf::foresight> {
      auto out = shelf_.foresee(loras);
      if (out) out->others -= std::min(out->others, own_variants_);
      return out;
    });
  }

  static std::string told(const drawing_request& r) {
    return fmt::format("{}x{} pixels, {} picture{}", r.width, r.height, r.images_per_prompt,
                       r.images_per_prompt == 1 ? "" : "s");
  }

  image_model_facts facts_;
  pipelines::device where_;
  pipeline pipeline_;
  variant_shelf shelf_;
  std::shared_ptr<pipelines::safety_classifier> safety_;
  std::uint64_t own_variants_ = 0;  ///< bytes, of the variant that lp_model.json asks for
};

/// Pipelines in use, so that a folder loaded for a second purpose costs nothing.
class loaded_pipelines {
 public:
  result<pipeline> get(const fs::path& folder, const stable_diffusion_options& options) {
    const auto key = fmt::format("{} {} {}\n{}", pipelines::lost_files(), options.low_memory,
                                 options.device.str(), pipelines::model_stamp::of(folder).text());
    {
      const std::lock_guard lock(guard_);
      if (auto there = known_[key].lock()) return there;
    }
    auto made = stable_diffusion::load(folder, options);
    if (!made) return made;
    const std::lock_guard lock(guard_);
    std::erase_if(known_, [](const auto& entry) { return entry.second.expired(); });
    known_[key] = *made;
    return made;
  }

 private:
  std::mutex guard_;
  std::map<std::string, std::weak_ptr<const stable_diffusion>> known_;
};

/// Of the class DiTPipeline; what is wrong with a folder is told by its loader.
bool is_dit(const fs::path& folder) {
  const auto index = read_json_file(folder / "model_index.json");
  const auto* name = index ? index->if_contains("_class_name") : nullptr;
  return name != nullptr && name->is_string() && name->get_string() == "DiTPipeline";
}

}  // namespace

result<std::shared_ptr<pipelines::model>> load_image_model(const fs::path& folder,
                                                           const pipelines::device& where) {
  static loaded_pipelines loaded;
  use_threads(where);
  if (is_dit(folder)) return load_dit_model(folder, where);
  stable_diffusion_options options;
  options.low_memory = where.low_memory;
  options.device = torch_device(where);
  auto made = loaded.get(folder, options);
  if (!made) return fail(made.error());
  image_model_facts facts;
  auto sizes = read_model_facts(folder, (*made)->scale());
  if (!sizes) return fail(sizes.error());
  const auto named = folder.has_filename() ? folder : folder.parent_path();
  facts.name = named.filename().string();
  facts.sizes = std::move(*sizes);
  facts.kind = (*made)->kind();
  facts.scale = (*made)->scale();
  facts.two_prompts = (*made)->has_second_prompt();
  auto model = std::make_shared<image_model>(std::move(facts), where, named, std::move(*made));
  // What every request gets is made ready now, and what is wrong with it told at the load.
  if (auto ok = model->warm(); !ok) return fail(ok.error());
  if (auto ok = model->open_safety(folder); !ok) return fail(ok.error());
  return model;
}

}  // namespace lp::engine
