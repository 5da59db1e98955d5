// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lp::job {

/// 8-bit RGB, rows from top to bottom without padding.
struct picture {
  int width = 0;
  int height = 0;
  std::string rgb;  ///< 3 * width * height bytes
};

/// Decodes a PNG, JPEG, WebP or GIF file. ec::bad_file if it is none, or too large.
result<picture> decode_picture(std::string_view file);

/// The picture in another size, each pixel the mean of what it covers. Sizes are at least 1.
result<picture> scaled(const picture& from, int width, int height);

}  // namespace lp::job
