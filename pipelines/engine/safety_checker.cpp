// SPDX-License-Identifier: MIT
#include "pipelines/engine/safety_checker.hpp"

#include <atomic>
#include <cmath>
#include <mutex>
#include <vector>

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <fmt/format.h>
#include <boost/json/object.hpp>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/finite.hpp"
#include "pipelines/engine/guarded.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/weights/lost_files.hpp"
#include "pipelines/weights/part_weights.hpp"

namespace lp::engine {

namespace {

namespace fs = std::filesystem;

// The class's own numbers of concepts.
constexpr std::int64_t concept_count = 17;
constexpr std::int64_t special_count = 3;

std::vector<float> excess(const at::Tensor& embeds, const at::Tensor& of, const at::Tensor& over) {
  const auto unit = [](const at::Tensor& x) { return x / x.norm(2, -1, true).clamp_min(1e-12); };
  const auto less = (at::mv(unit(of), unit(embeds)) - over).contiguous();
  return {less.data_ptr<float>(), less.data_ptr<float>() + less.numel()};
}

std::uint64_t bytes_of(const clip_vision_config& c) {
  const auto layer = 4 * c.hidden_size * c.hidden_size + 2 * c.hidden_size * c.intermediate_size;
  const auto patch = c.num_channels * c.patch_size * c.patch_size;
  const auto all = c.num_hidden_layers * layer + c.hidden_size * (patch + c.projection_dim);
  return static_cast<std::uint64_t>(all) * sizeof(float);
}

bool above_zero(double difference) {
  return std::nearbyint(difference * 1000) > 0;
}

/// Loads the network with the first picture.
class folder_checker final : public pipelines::safety_classifier {
 public:
  folder_checker(fs::path folder, const clip_vision_config& vision, const clip_image_config& pixels,
                 bool low_memory)
      : folder_(std::move(folder)), vision_(vision), pixels_(pixels), low_memory_(low_memory) {}

  std::string name() const override { return folder_.lexically_normal().string(); }
  std::uint64_t bytes() const override { return low_memory_ ? 0 : bytes_of(vision_); }

  result<bool> offensive(const pipelines::picture& p) override {
    const auto net = network();
    if (!net) return fail(net.error());
    if (p.channels != 3) return fail(ec::internal, "the safety checker looks at RGB alone");
    const auto flagged = guarded([&]() -> result<bool> {
      const auto pixels = process_clip_image({p.width, p.height, *p.values}, pixels_);
      if (!pixels) return fail(pixels.error());
      return (*net)->offensive(*pixels).front();
    });
    if (auto ok = pipelines::none_lost_since(losses_); !ok) return fail(std::move(ok.error()));
    return flagged;
  }

 private:
  using pointer = std::shared_ptr<const safety_checker>;

  result<pointer> network() {
    const std::lock_guard lock(mutex_);
    // Weights whose file went away are read again, if it is there again.
    if (kept_ && pipelines::lost_files() == losses_) return kept_;
    kept_ = nullptr;
    losses_ = pipelines::lost_files();
    return guarded([&]() -> result<pointer> {
      auto source = checkpoint::open(folder_, at::kFloat);
      if (!source) return fail(source.error());
      auto net = std::make_shared<const safety_checker>(vision_, scope(**source));
      if (auto ok = (*source)->finish(); !ok) return fail(ok.error());
      if (!low_memory_) kept_ = net;
      return pointer(std::move(net));
    });
  }

  fs::path folder_;
  clip_vision_config vision_;
  clip_image_config pixels_;
  bool low_memory_;
  std::mutex mutex_;
  pointer kept_;
  std::atomic<std::uint64_t> losses_{0};  ///< when the network was loaded
};

/// CLIP's own sizes where no file says others.
result<clip_image_config> pixels_for(const fs::path& folder) {
  const auto named = folder.has_filename() ? folder : folder.parent_path();
  for (const auto& place : {named, named.parent_path() / "feature_extractor"}) {
    const auto file = place / "preprocessor_config.json";
    std::error_code ignored;
    if (!fs::exists(file, ignored)) continue;
    const auto json = read_json_file(file);
    if (!json) return fail(json.error());
    auto config = parse_clip_image_config(*json);
    if (config) return config;
    return fail(config.error().code, fmt::format("{}: {}", place.string(), config.error().message));
  }
  return clip_image_config{};
}

}  // namespace

safety_checker::safety_checker(const clip_vision_config& c, const scope& at)
    : vision_(c, at / "vision_model" / "vision_model", at),
      concepts_(at.take("concept_embeds", {concept_count, c.projection_dim})),
      concept_thresholds_(at.take("concept_embeds_weights", {concept_count})),
      special_(at.take("special_care_embeds", {special_count, c.projection_dim})),
      special_thresholds_(at.take("special_care_embeds_weights", {special_count})) {}

std::vector<bool> safety_checker::offensive(const at::Tensor& pixels) const {
  const auto embeds = vision_(pixels).image_embeds;
  // Nothing compares as above a threshold to a NaN: it would let every picture pass.
  TORCH_CHECK(all_finite(embeds) && all_finite(concepts_) && all_finite(concept_thresholds_) &&
                  all_finite(special_) && all_finite(special_thresholds_),
              "the safety checker's numbers are not finite");
  std::vector<bool> out;
  for (std::int64_t i = 0; i < embeds.size(0); ++i) {
    out.push_back(flags(excess(embeds[i], special_, special_thresholds_),
                        excess(embeds[i], concepts_, concept_thresholds_)));
  }
  return out;
}

bool flags(const std::vector<float>& special, const std::vector<float>& concepts) {
  double stricter = 0;
  for (const float difference : special) {
    if (above_zero(difference + stricter)) stricter = 0.01;
  }
  for (const float difference : concepts) {
    if (above_zero(difference + stricter)) return true;
  }
  return false;
}

result<std::shared_ptr<pipelines::safety_classifier>> open_safety_checker(const fs::path& folder,
                                                                          bool low_memory) {
  const auto json = read_json_file(folder / "config.json");
  if (!json) return fail(json.error());
  const auto config = parse_clip_vision_config(*json);
  if (!config)
    return fail(config.error().code,
                fmt::format("{}: {}", folder.string(), config.error().message));
  const auto pixels = pixels_for(folder);
  if (!pixels) return fail(pixels.error());
  if (pixels->crop_width != config->image_size || pixels->crop_height != config->image_size) {
    return fail(ec::bad_file, fmt::format("{}: image_size {} is not the {}x{} pixels that "
                                          "preprocessor_config.json makes",
                                          (folder / "config.json").string(), config->image_size,
                                          pixels->crop_width, pixels->crop_height));
  }
  if (!pipelines::find_weights(folder))
    return fail(ec::bad_file, fmt::format("{}: no weights", folder.string()));
  return std::make_shared<folder_checker>(folder, *config, *pixels, low_memory);
}

}  // namespace lp::engine
