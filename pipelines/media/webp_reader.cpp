// SPDX-License-Identifier: MIT
// Still WebP pictures, with libwebp, which Pillow uses too.
#include <algorithm>
#include <memory>

#include <webp/decode.h>

#include "pipelines/media/raw_image.hpp"

namespace lp::pipelines {

namespace {

/// The meter is asked after each of so many parts of a file.
constexpr std::size_t parts = 32;
constexpr std::size_t smallest_part = std::size_t{16} << 10;

struct release {
  void operator()(WebPIDecoder* d) const { WebPIDelete(d); }
};

tl::unexpected<error> told(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
      return fail(ec::out_of_memory, "no memory for a picture");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return not_supported(image_format::webp, "a feature of another version");
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return damaged(image_format::webp, "it is cut short");
    default:
      return damaged(image_format::webp, "its data make no sense");
  }
}

// A RIFF file tells its length (RFC 9649, 2.3). What stands behind it is not the picture's.
std::string_view riff_of(std::string_view file) {
  std::size_t length = 0;
  for (std::size_t i = 8; i-- > 4;) length = length << 8U | static_cast<unsigned char>(file[i]);
  return length + 8 > file.size() ? std::string_view() : file.substr(0, length + 8);
}

// Part by part: a header that is not whole yet is begun again, hence not too many of them.
result<void> feed(WebPIDecoder& decoder, std::string_view riff, work_meter& meter) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(riff.data());
  const std::size_t part = std::max(smallest_part, riff.size() / parts);
  for (std::size_t end = 0; end < riff.size();) {
    if (!meter.go_on()) return fail(meter.why());
    end = std::min(riff.size(), end + part);
    const auto status = WebPIUpdate(&decoder, bytes, end);
    if (status == VP8_STATUS_OK) return {};
    if (status != VP8_STATUS_SUSPENDED) return told(status);
  }
  return told(VP8_STATUS_NOT_ENOUGH_DATA);
}

}  // namespace

result<raw_image> decode_webp(const decoder_input& in) {
  const std::string_view riff = riff_of(in.file);
  if (riff.empty()) return told(VP8_STATUS_NOT_ENOUGH_DATA);
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) return fail(ec::internal, "another libwebp was built");
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(riff.data());
  const auto seen = WebPGetFeatures(bytes, riff.size(), &config.input);
  if (seen != VP8_STATUS_OK) return told(seen);
  if (static_cast<std::uint32_t>(config.input.width) != in.header.width ||
      static_cast<std::uint32_t>(config.input.height) != in.header.height) {
    return damaged(image_format::webp, "it tells two sizes");
  }
  const bool alpha = config.input.has_alpha != 0;
  raw_image out{in.header.width, in.header.height, alpha ? 4U : 3U, {}};
  out.pixels.resize(out.row() * out.height);
  config.output.colorspace = alpha ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = out.at(0);
  config.output.u.RGBA.stride = static_cast<int>(out.row());
  config.output.u.RGBA.size = out.pixels.size();
  const std::unique_ptr<WebPIDecoder, release> decoder(WebPIDecode(nullptr, 0, &config));
  if (!decoder) return told(VP8_STATUS_OUT_OF_MEMORY);
  if (auto ok = feed(*decoder, riff, in.meter); !ok) return fail(ok.error());
  return out;
}

}  // namespace lp::pipelines
