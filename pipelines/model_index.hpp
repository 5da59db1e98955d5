// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// The file that makes a folder a model in the Diffusers layout.
inline constexpr const char* model_index_name = "model_index.json";

/// The `_class_name` of a model folder's model_index.json, which says what kind of pipeline the
/// folder holds, for example "StableDiffusionPipeline". ec::bad_file names the file and what is
/// wrong with it.
result<std::string> model_class(const std::filesystem::path& folder);

/// Whether a file is a checkpoint of a whole pipeline in the original naming: a .safetensors file
/// with a "model.diffusion_model.*" tensor, by its header alone, or any .ckpt. Adapters and single
/// components are none.
bool whole_checkpoint(const std::filesystem::path& file);

/// What a diffusion model can be asked for.
struct image_tasks {
  bool from_text = false;   ///< text-to-image
  bool from_image = false;  ///< image-to-image, with an "image" and perhaps a "mask_image"
  bool upscales = false;    ///< upscale
  bool any() const { return from_text || from_image || upscales; }
};

/// The tasks of a pipeline class; none for those that engine::load_image_model() does not load.
image_tasks tasks_of_class(std::string_view class_name);

/// tasks_of_class() of a model folder, or of a checkpoint file (".safetensors", ".ckpt", ".pth")
/// in place of a folder; none where it cannot be read.
image_tasks tasks_of(const std::filesystem::path& model);

}  // namespace lp::pipelines
