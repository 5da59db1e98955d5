// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// Pixels as rows of red, green, blue bytes without padding: 3 * width * height bytes.
struct rgb_image {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::string pixels;
};

/// The same of one byte a pixel: width * height bytes, 255 is white.
struct grey_image {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::string pixels;
};

/// Longest side and most pixels that are encoded and decoded.
inline constexpr std::uint32_t max_image_side = 16384;
inline constexpr std::uint64_t max_image_pixels = std::uint64_t{64} << 20;

/// ec::too_large unless both sides are 1 to max_image_side and there are at most `max_pixels`.
result<void> check_size(std::uint64_t width, std::uint64_t height,
                        std::uint64_t max_pixels = max_image_pixels);

}  // namespace lp::pipelines
