// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "runtime/base/error.hpp"

namespace lp::model_tool {

struct conversion {
  std::uint64_t before = 0;  ///< bytes of weights
  std::uint64_t after = 0;
};

/// Copies a model's folder with its weights as `dtype` (fp32, fp16 or bf16), or makes a folder of a
/// checkpoint in one file. `to` must not exist; it is removed again if something fails.
/// ec::bad_file, and no folder, for a model that inspection finds broken.
result<conversion> convert_model(const std::filesystem::path& from, const std::filesystem::path& to,
                                 const std::string& dtype);

}  // namespace lp::model_tool
