// SPDX-License-Identifier: MIT
// What a picture's file says of itself in its first bytes. Nothing is decoded here, so that a
// gateway can refuse what no worker would take.
#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lp::pipelines {

enum class image_format { png, jpeg, webp, gif };

/// "PNG", "JPEG", "WebP", "GIF".
std::string_view to_string(image_format format);

/// "image/png" and so on.
std::string_view mime_type(image_format format);

struct image_header {
  image_format format = image_format::png;
  std::uint32_t width = 0;   ///< as stored, before the orientation
  std::uint32_t height = 0;  ///< as stored, before the orientation
  int orientation = 1;       ///< Exif tag 0x0112: 1 is upright, 5 to 8 swap width and height

  std::uint64_t pixels() const { return std::uint64_t{width} * height; }
  std::uint32_t upright_width() const { return orientation >= 5 ? height : width; }
  std::uint32_t upright_height() const { return orientation >= 5 ? width : height; }
};

/// Tells the format by the file's bytes alone. ec::unsupported_media if it is none of the four,
/// ec::bad_file if its header is cut short or makes no sense.
result<image_header> read_image_header(std::string_view file);

}  // namespace lp::pipelines
