// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>

#include "runtime/base/error.hpp"

namespace lp::bench {

/// Writes random weights of the size that each part's config.json asks for (unet, vae,
/// text_encoder), as fp32, or as bf16, into a folder that has all the rest of a model. What has
/// weights is left alone.
result<void> write_random_weights(const std::filesystem::path& model, bool bf16);

}  // namespace lp::bench
