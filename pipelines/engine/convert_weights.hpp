// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// See pipelines::engine::convert_weights().
result<void> convert_weights(const std::filesystem::path& from, const std::filesystem::path& to,
                             std::string_view dtype);

}  // namespace lp::engine
