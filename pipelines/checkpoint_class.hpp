// SPDX-License-Identifier: MIT
// Checkpoints of a whole pipeline in one file, in the original naming, from what they say of their
// tensors: no torch. engine/single_file.hpp loads them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "pipelines/weights/weights_summary.hpp"
#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// Whether a file is such a checkpoint: a .safetensors, .pth or .pt file with a
/// "model.diffusion_model.*" tensor, or any .ckpt. Adapters and single components are none.
bool whole_checkpoint(const std::filesystem::path& file);

/// What its folder's _class_name would be, told by the UNet's input channels and by a second text
/// encoder. ec::bad_file for other files and for UNets of unknown input.
result<std::string> checkpoint_class(const std::filesystem::path& file);

struct checkpoint_part {
  std::string name;  ///< "unet", "vae", "text_encoder", "text_encoder_2"
  weights_summary weights;
};

/// Its components, as named in folders. ec::bad_file as for checkpoint_class().
result<std::vector<checkpoint_part>> checkpoint_parts(const std::filesystem::path& file);

}  // namespace lp::pipelines
