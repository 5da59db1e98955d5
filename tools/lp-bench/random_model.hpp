// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>

#include "runtime/base/error.hpp"

namespace lp::bench {

/// Makes a folder that looks like the model's, of links to its files: what is added to it is not
/// added to the model.
result<void> mirror_model(const std::filesystem::path& model, const std::filesystem::path& mirror);

/// Writes random weights of the size that each part's config.json asks for (unet, vae,
/// text_encoder), as fp32, or as bf16, into a folder that has all the rest of a model. What has
/// weights is left alone.
result<void> write_random_weights(const std::filesystem::path& model, bool bf16);

}  // namespace lp::bench
