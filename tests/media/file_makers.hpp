// SPDX-License-Identifier: MIT
// Picture files that ordinary programs do not write, byte by byte.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/media/rgb_image.hpp"

namespace lp::testing {

/// Numbers of `bytes` bytes, the highest first or last.
std::string big(std::uint64_t value, int bytes);
std::string little(std::uint64_t value, int bytes);

std::string png_chunk(std::string_view name, std::string_view data);

struct png_recipe {
  std::uint32_t width = 4;
  std::uint32_t height = 4;
  int depth = 8;       ///< bits
  int colours = 2;     ///< 0: grey, 2: RGB, 3: palette, 4: grey and alpha, 6: RGB and alpha
  std::string rows;    ///< each with its filter's number in front
  std::string before;  ///< chunks before the data
  std::string after;   ///< chunks behind them
  std::string data{};  ///< deflated, in place of the rows
};
std::string make_png(const png_recipe& recipe);

/// A TIFF block whose first directory has an entry of another tag and then the orientation.
std::string exif_block(bool intel, int type, std::uint32_t orientation);

struct jpeg_recipe {
  int components = 3;  ///< 1: grey, 3: YCbCr, 4: inks
  bool ycck = false;   ///< the inks as YCCK
  bool adobe = true;   ///< with Adobe's marker, where a program would write one
  bool arithmetic = false;
  bool progressive = false;
  std::array<std::array<int, 2>, 4> sampling{{{1, 1}, {1, 1}, {1, 1}, {1, 1}}};
  std::string behind_start{};  ///< segments before all others
  std::string before_scan{};   ///< segments between the frame header and the first scan
};
/// 64x48 pixels in four quarters, see quarters.
std::string make_jpeg(const jpeg_recipe& recipe);

using rgb_values = std::array<int, 3>;
inline constexpr std::array<rgb_values, 4> quarters{
    {{220, 30, 30}, {30, 200, 40}, {30, 60, 220}, {230, 220, 60}}};

/// The mean difference from the quarters.
double error_of(const pipelines::rgb_image& image);

/// A progressive JPEG of few bytes a scan, each of which is work on every block.
std::string many_scans(std::uint32_t side, int scans);

/// zlib's format.
std::string deflated(std::string_view data);
/// So many zeros, without ever holding them.
std::string deflated_zeros(std::size_t count);

/// Lossless WebP with the colours under transparency kept.
std::string make_webp(std::uint32_t width, std::uint32_t height, const std::string& rgba);

}  // namespace lp::testing
