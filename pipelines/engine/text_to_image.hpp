// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <memory>

#include "pipelines/device.hpp"
#include "pipelines/model.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

/// The model of a Stable Diffusion folder, which draws the parameters of text-to-image.
///
/// Distilled models draw as they were trained to, whatever the request says: one whose id ends in
/// "-turbo" without guidance, one whose id holds "_Nstep" with N steps and without guidance. The id
/// is the request's model_id, or the folder's name where that is empty.
result<std::shared_ptr<pipelines::model>> load_image_model(const std::filesystem::path& folder,
                                                           const pipelines::device& where);

/// Lets this thread's computations use the device's threads: its number, or all the machine has.
void use_threads(const pipelines::device& where);

}  // namespace lp::engine
