// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <memory>

#include "pipelines/device.hpp"
#include "pipelines/model.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

/// The model of a folder of class DiTPipeline: model_index.json with "id2label", an object from
/// class number to its names, divided by commas; "transformer" with the weights (a .safetensors or
/// .pth file, dit.hpp); "scheduler/scheduler_config.json" with the betas of the training. A prompt
/// is the name or the number of a class. Pictures are resized to the size asked for.
result<std::shared_ptr<pipelines::model>> load_dit_model(const std::filesystem::path& folder,
                                                         const pipelines::device& where);

}  // namespace lp::engine
