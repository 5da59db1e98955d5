// SPDX-License-Identifier: MIT
// What the decoders give. For this folder's sources only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "pipelines/media/image_header.hpp"
#include "pipelines/media/work_meter.hpp"
#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// A picture as stored, 8 bits a channel, interleaved, rows without padding.
struct raw_image {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::uint32_t channels = 3;  ///< 1: grey, 2: grey and alpha, 3: RGB, 4: RGB and alpha
  std::string pixels;

  std::size_t row() const { return std::size_t{width} * channels; }
  unsigned char* at(std::uint32_t y) {
    return reinterpret_cast<unsigned char*>(pixels.data()) + row() * y;
  }
};

/// What a decoder gets. The header's size is within the limits; a stream inside that tells another
/// one is a damaged file.
struct decoder_input {
  std::string_view file;
  const image_header& header;
  work_meter& meter;
  bool colours_only = false;  ///< what is transparent need not be told: its colours count
};

result<raw_image> decode_jpeg(const decoder_input& in);
result<raw_image> decode_png(const decoder_input& in);
result<raw_image> decode_webp(const decoder_input& in);
result<raw_image> decode_gif(const decoder_input& in);

inline tl::unexpected<error> damaged(image_format format, std::string_view what) {
  return fail(ec::bad_file, fmt::format("a damaged {} file: {}", to_string(format), what));
}

/// Of a picture that is whole, but of a kind that is not decoded.
inline tl::unexpected<error> not_supported(image_format format, std::string_view what) {
  return fail(ec::unsupported_media, fmt::format("a {} file of a kind that is not supported: {}",
                                                 to_string(format), what));
}

}  // namespace lp::pipelines
