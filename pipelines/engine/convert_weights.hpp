// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string_view>

#include <c10/core/ScalarType.h>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// The type of "fp32", "fp16" or "bf16"; ec::bad_config for another word.
result<at::ScalarType> weight_type(std::string_view name);

/// See pipelines::engine::convert_weights().
result<void> convert_weights(const std::filesystem::path& from, const std::filesystem::path& to,
                             std::string_view dtype);

}  // namespace lp::engine
