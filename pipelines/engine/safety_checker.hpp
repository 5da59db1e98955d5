// SPDX-License-Identifier: MIT
// The safety checker of Stable Diffusion's folders (StableDiffusionSafetyChecker): how alike a
// picture's CLIP embedding is to those of concepts that the checker holds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/clip_image_processor.hpp"
#include "pipelines/engine/clip_vision.hpp"
#include "pipelines/safety.hpp"

namespace lp::engine {

class safety_checker {
 public:
  safety_checker(const clip_vision_config& config, const scope& at);

  /// For each of the pictures [N, 3, image_size, image_size] of process_clip_image().
  std::vector<bool> offensive(const at::Tensor& pixels) const;

  const clip_vision_config& config() const { return vision_.config(); }

 private:
  clip_vision vision_;
  at::Tensor concepts_;            ///< [17, projection_dim]
  at::Tensor concept_thresholds_;  ///< [17]
  at::Tensor special_;             ///< [3, projection_dim]: what makes the others stricter
  at::Tensor special_thresholds_;  ///< [3]
};

/// The decision on one picture from its likeness to each concept less that concept's threshold: a
/// special concept above 0 lowers all thresholds behind it by 0.01, and any other concept above 0
/// flags the picture. Differences count to three digits, as in the original.
bool flags(const std::vector<float>& special, const std::vector<float>& concepts);

/// The checker of a folder: config.json, weights as safetensors or pytorch_model.bin, and a
/// preprocessor_config.json in it or in "feature_extractor" beside it (CLIP's own sizes without
/// one). Settings are read now, weights with the first picture; they stay unless `low_memory`. It
/// computes in fp32: its thresholds are told to three digits.
/// ec::bad_file names the file and what is wrong. Safe from any thread.
result<std::shared_ptr<pipelines::safety_classifier>> open_safety_checker(
    const std::filesystem::path& folder, bool low_memory = false);

}  // namespace lp::engine
