// SPDX-License-Identifier: MIT
// Where a node keeps its files is its operator's affair: what a client is told names them without
// their places.
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lp {

/// The text with each absolute path of a file cut down to its last part, or to the last two of four
/// and more: "/srv/models/sd15/unet/config.json: ..." becomes "unet/config.json: ...". Paths with
/// spaces are found where they lie on this machine's disk. Addresses and routes stay ("http://...",
/// "/text-to-image").
std::string without_paths(std::string_view text);

/// The same of an error's message and fields.
error without_paths(error e);

}  // namespace lp
