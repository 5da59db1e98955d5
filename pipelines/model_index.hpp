// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// The file that makes a folder a model in the Diffusers layout.
inline constexpr const char* model_index_name = "model_index.json";

/// What kind of pipeline a model is, for example "StableDiffusionPipeline": the `_class_name` of a
/// folder's model_index.json, or checkpoint_class() of a file. ec::bad_file names the file and what
/// is wrong with it.
result<std::string> model_class(const std::filesystem::path& model);

/// What a diffusion model can be asked for.
struct image_tasks {
  bool from_text = false;   ///< text-to-image
  bool from_image = false;  ///< image-to-image, with an "image" and perhaps a "mask_image"
  bool upscales = false;    ///< upscale
  bool any() const { return from_text || from_image || upscales; }
};

/// The tasks of a pipeline class; none for those that engine::load_image_model() does not load.
image_tasks tasks_of_class(std::string_view class_name);

/// tasks_of_class() of a model_class(); none where it cannot be read.
image_tasks tasks_of(const std::filesystem::path& model);

}  // namespace lp::pipelines
