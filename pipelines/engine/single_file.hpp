// SPDX-License-Identifier: MIT
// Checkpoints of a whole pipeline in one file, named as the original Stable Diffusion code names
// them: .safetensors, or .ckpt and .pth through pickle.hpp.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/stable_diffusion_parts.hpp"

namespace lp::engine {

/// The tensors of the original naming, sorted by component and renamed as in Diffusers folders.
/// Names of no component (schedules, EMA copies) are left out.
struct renamed_checkpoint {
  stored_tensors unet, vae, text, text_2;
  std::vector<std::string> left_out;  ///< names of no component that nobody expects in such a file
};
renamed_checkpoint rename_original(const stored_tensors& original);

/// "down_blocks.0.resnets.0.conv1.weight" for "input_blocks.1.0.in_layers.2.weight"; empty for what
/// is no name of a UNet. `blocks` is the number of residual blocks a level.
std::string diffusers_unet_name(const std::string& original, int blocks = 2);
/// The same for the part behind "first_stage_model.", for four levels of two blocks.
std::string diffusers_vae_name(const std::string& original, std::size_t levels = 4);

/// A file's components: their tensors, and what the published folders say of such ones.
struct sorted_checkpoint {
  renamed_checkpoint tensors;
  boost::json::object unet, vae, text, text_2, scheduler;  ///< the components' config.json
  bool xl = false;                                         ///< two text encoders
  bool open_clip = false;       ///< the first text encoder is padded with "!"
  std::filesystem::path words;  ///< the tokenizer's folder
  std::string assumed;          ///< what of the file is a guess, for a person; empty: nothing
};

/// Sorts a file out: SD 1.x, 2.x, SDXL, inpainting and editing networks, told apart by their
/// shapes. The words of the tokenizer are taken from a folder "tokenizer" beside the file or one
/// above. What the network predicts is prediction_of() of checkpoint_prediction.hpp. A file of the
/// same name ending in .json may hold whole configurations under "unet", "vae", "text_encoder",
/// "text_encoder_2", "scheduler".
///
/// `ahead` as in open_tensors().
result<sorted_checkpoint> sort_single_file(const std::filesystem::path& file, bool ahead = true);

/// See pipelines::engine::unpack_checkpoint().
result<void> unpack_single_file(const std::filesystem::path& file,
                                const std::filesystem::path& folder, std::string_view dtype);

/// Loads the pipeline of a file that sort_single_file() knows.
result<std::unique_ptr<stable_diffusion::parts>> load_single_file(
    const std::filesystem::path& file, const stable_diffusion_options& options);

}  // namespace lp::engine
