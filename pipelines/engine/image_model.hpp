// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <memory>

#include "pipelines/device.hpp"
#include "pipelines/model.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

/// See pipelines::engine::load_image_model(). LoRA files are looked for by name in folders "loras"
/// in the model, beside it, and one above.
result<std::shared_ptr<pipelines::model>> load_image_model(const std::filesystem::path& folder,
                                                           const pipelines::device& where);

}  // namespace lp::engine
