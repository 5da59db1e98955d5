// SPDX-License-Identifier: MIT
// JSON from files that others wrote: everything wrong with it is an error that names the file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include <boost/json/fwd.hpp>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// The whole file without a byte-order mark; ec::bad_file if it cannot be read or is larger than
/// `limit` bytes.
result<std::string> read_text_file(const std::filesystem::path& path,
                                   std::size_t limit = std::size_t{64} << 20);

/// Parses `text`, which came from `path`. Refuses what Boost.JSON takes in silence: a key that is
/// there twice in one object. ec::bad_file says what was expected and where.
result<boost::json::value> parse_json(std::string_view text, const std::filesystem::path& path);

/// read_text_file() and parse_json(), for files whose outermost value is an object.
result<boost::json::object> read_json_file(const std::filesystem::path& path);

}  // namespace lp::engine
