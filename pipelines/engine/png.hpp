// SPDX-License-Identifier: MIT
// PNG files to and from plain pixels, with FFmpeg's codec.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// Pixels as rows of red, green, blue bytes without padding: 3 * width * height bytes.
struct rgb_image {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::string pixels;
};

/// Longest side and most pixels that are encoded and decoded.
inline constexpr std::uint32_t max_image_side = 16384;
inline constexpr std::uint64_t max_image_pixels = std::uint64_t{64} << 20;

/// ec::too_large beyond the limits, ec::internal if `pixels` has not the right length.
result<std::string> encode_png(const rgb_image& image);

/// Any PNG becomes 8-bit RGB; transparency is dropped. The size in the header is held against the
/// limits before anything is decoded: ec::too_large. What is no PNG, or a damaged one, is
/// ec::unsupported_media.
result<rgb_image> decode_png(std::string_view file, std::uint64_t max_pixels = max_image_pixels);

}  // namespace lp::engine
