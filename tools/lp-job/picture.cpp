// SPDX-License-Identifier: MIT
#include "tools/lp-job/picture.hpp"

#include <memory>

extern "C" {
#include <libswscale/swscale.h>
}

#include <fmt/format.h>

#include "pipelines/media/decode.hpp"

namespace lp::job {

namespace {

struct release {
  void operator()(SwsContext* p) const { sws_freeContext(p); }
};

template <class T>
using owned = std::unique_ptr<T, release>;

tl::unexpected<error> bad_picture(std::string_view what) {
  return fail(ec::bad_file, fmt::format("the picture cannot be shown: {}", what));
}

// Converts planes of any format and size to packed RGB of the given size.
result<picture> to_rgb(const std::uint8_t* const* planes, const int* strides, int width, int height,
                       int format, int new_width, int new_height) {
  const owned<SwsContext> scaler(sws_getContext(width, height, static_cast<AVPixelFormat>(format),
                                                new_width, new_height, AV_PIX_FMT_RGB24, SWS_AREA,
                                                nullptr, nullptr, nullptr));
  if (!scaler) return bad_picture("no conversion from its pixel format");
  picture out{new_width, new_height, {}};
  const auto row = static_cast<std::size_t>(new_width) * 3;
  // The scaler writes whole vectors, beyond a row's end: hence the padding.
  const auto padded = (row + 63) / 64 * 64;
  std::string rows(padded * static_cast<std::size_t>(new_height) + 64, '\0');
  auto* target = reinterpret_cast<std::uint8_t*>(rows.data());
  std::uint8_t* const targets[] = {target, nullptr, nullptr, nullptr};
  const int target_strides[] = {static_cast<int>(padded), 0, 0, 0};
  sws_scale(scaler.get(), planes, strides, 0, height, targets, target_strides);
  for (int y = 0; y < new_height; ++y) {
    out.rgb.append(rows, static_cast<std::size_t>(y) * padded, row);
  }
  return out;
}

}  // namespace

result<picture> decode_picture(std::string_view file) {
  auto image = pipelines::decode_image(file);
  if (!image) return bad_picture(image.error().message);
  return picture{static_cast<int>(image->width), static_cast<int>(image->height),
                 std::move(image->pixels)};
}

result<picture> scaled(const picture& from, int width, int height) {
  if (width == from.width && height == from.height) return from;
  const auto* data = reinterpret_cast<const std::uint8_t*>(from.rgb.data());
  const std::uint8_t* const planes[] = {data, nullptr, nullptr, nullptr};
  const int strides[] = {from.width * 3, 0, 0, 0};
  return to_rgb(planes, strides, from.width, from.height, AV_PIX_FMT_RGB24, width, height);
}

}  // namespace lp::job
