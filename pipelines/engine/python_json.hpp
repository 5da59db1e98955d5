// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>

#include <boost/json/fwd.hpp>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// Reads a file whose outermost value is an object, as Python's json module writes it: Infinity and
/// -Infinity (lambda_min_clipped of a scheduler) become the largest and lowest double, NaN becomes
/// null. Otherwise as read_json_file().
result<boost::json::object> read_python_json_file(const std::filesystem::path& file);

}  // namespace lp::engine
