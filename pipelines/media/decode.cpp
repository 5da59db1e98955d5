// SPDX-License-Identifier: MIT
#include "pipelines/media/decode.hpp"

#include <array>
#include <utility>

#include "pipelines/media/image_header.hpp"
#include "pipelines/media/raw_image.hpp"

namespace lp::pipelines {

namespace {

result<raw_image> decode_any(const decoder_input& in) {
  switch (in.header.format) {
    case image_format::png:
      return decode_png(in);
    case image_format::jpeg:
      return decode_jpeg(in);
    case image_format::webp:
      return decode_webp(in);
    case image_format::gif:
      break;
  }
  return decode_gif(in);
}

unsigned char over_white(unsigned value, unsigned alpha) {
  return static_cast<unsigned char>((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

/// The same picture with so many channels; `pixel(from, to)` makes each.
template <class F>
raw_image with_channels(raw_image stored, std::uint32_t channels, F pixel) {
  const std::size_t count = std::size_t{stored.width} * stored.height;
  std::string grown;
  const bool grows = channels > stored.channels;
  if (grows) grown.resize(count * channels);
  const auto* from = reinterpret_cast<const unsigned char*>(stored.pixels.data());
  auto* to = reinterpret_cast<unsigned char*>(grows ? grown.data() : stored.pixels.data());
  // In place where it fits: nothing is read again once it was written over.
  for (std::size_t i = 0; i < count; ++i, from += stored.channels, to += channels) pixel(from, to);
  if (grows) {
    stored.pixels = std::move(grown);
  } else {
    stored.pixels.resize(count * channels);
  }
  stored.channels = channels;
  return stored;
}

raw_image to_rgb(raw_image stored) {
  switch (stored.channels) {
    case 1:
      return with_channels(std::move(stored), 3, [](const unsigned char* from, unsigned char* to) {
        to[0] = to[1] = to[2] = from[0];
      });
    case 2:
      return with_channels(std::move(stored), 3, [](const unsigned char* from, unsigned char* to) {
        to[0] = to[1] = to[2] = over_white(from[0], from[1]);
      });
    case 4:
      return with_channels(std::move(stored), 3, [](const unsigned char* from, unsigned char* to) {
        const unsigned alpha = from[3];
        const std::array<unsigned char, 3> seen{
            over_white(from[0], alpha), over_white(from[1], alpha), over_white(from[2], alpha)};
        for (std::size_t c = 0; c < 3; ++c) to[c] = seen[c];
      });
    default:
      return stored;
  }
}

// ITU-R BT.601, 2.5.1, in 16 binary places and rounded, as Pillow has it.
unsigned char luma(const unsigned char* rgb) {
  return static_cast<unsigned char>(
      (rgb[0] * 19595U + rgb[1] * 38470U + rgb[2] * 7471U + 0x8000U) >> 16U);
}

raw_image to_grey(raw_image stored) {
  if (stored.channels == 1) return stored;
  if (stored.channels == 2) {
    return with_channels(std::move(stored), 1,
                         [](const unsigned char* from, unsigned char* to) { to[0] = from[0]; });
  }
  return with_channels(std::move(stored), 1,
                       [](const unsigned char* from, unsigned char* to) { to[0] = luma(from); });
}

// Where the pixel that is seen at (x, y) is stored, for each value of the tag Orientation
// (Exif 2.3, 4.6.4 A): the stored picture's row 0 and column 0 are at the seen picture's ...
struct place {
  std::uint32_t x, y;
};
place stored_place(int orientation, const raw_image& stored, std::uint32_t x, std::uint32_t y) {
  const std::uint32_t right = stored.width - 1;
  const std::uint32_t bottom = stored.height - 1;
  switch (orientation) {
    case 2:  // top, right
      return {right - x, y};
    case 3:  // bottom, right
      return {right - x, bottom - y};
    case 4:  // bottom, left
      return {x, bottom - y};
    case 5:  // left, top
      return {y, x};
    case 6:  // right, top
      return {y, bottom - x};
    case 7:  // right, bottom
      return {right - y, bottom - x};
    case 8:  // left, bottom
      return {right - y, x};
    default:
      return {x, y};
  }
}

raw_image upright(raw_image stored, int orientation) {
  if (orientation == 1) return stored;
  const bool swaps = orientation >= 5;
  raw_image out{swaps ? stored.height : stored.width,
                swaps ? stored.width : stored.height,
                stored.channels,
                {}};
  out.pixels.reserve(stored.pixels.size());
  for (std::uint32_t y = 0; y < out.height; ++y) {
    for (std::uint32_t x = 0; x < out.width; ++x) {
      const place from = stored_place(orientation, stored, x, y);
      out.pixels.append(stored.pixels,
                        (std::size_t{from.y} * stored.width + from.x) * stored.channels,
                        stored.channels);
    }
  }
  return out;
}

enum class wanted { rgb, grey };

result<raw_image> decode(std::string_view file, const decode_limits& limits, wanted what) {
  const auto header = read_image_header(file);
  if (!header) return fail(header.error());
  if (auto ok = check_size(header->width, header->height, limits.max_pixels); !ok) {
    return fail(ok.error());
  }
  work_meter meter(limits.processor_time, limits.stop);
  auto stored = decode_any({file, *header, meter, what == wanted::grey});
  if (!stored) return fail(stored.error());
  if (!meter.go_on()) return fail(meter.why());
  return upright(what == wanted::grey ? to_grey(std::move(*stored)) : to_rgb(std::move(*stored)),
                 header->orientation);
}

}  // namespace

result<rgb_image> decode_image(std::string_view file, const decode_limits& limits) {
  auto out = decode(file, limits, wanted::rgb);
  if (!out) return fail(out.error());
  return rgb_image{out->width, out->height, std::move(out->pixels)};
}

result<grey_image> decode_mask(std::string_view file, const decode_limits& limits) {
  auto out = decode(file, limits, wanted::grey);
  if (!out) return fail(out.error());
  return grey_image{out->width, out->height, std::move(out->pixels)};
}

}  // namespace lp::pipelines
