// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>

#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// The file that makes a folder a model in the Diffusers layout.
inline constexpr const char* model_index_name = "model_index.json";

/// The `_class_name` of a model folder's model_index.json, which says what kind of pipeline the
/// folder holds, for example "StableDiffusionPipeline". ec::bad_file names the file and what is
/// wrong with it.
result<std::string> model_class(const std::filesystem::path& folder);

}  // namespace lp::pipelines
