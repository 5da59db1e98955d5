// SPDX-License-Identifier: MIT
#include "pipelines/media/decode.hpp"

#include <cstring>
#include <limits>

#include <fmt/format.h>

extern "C" {
#include <libavutil/pixdesc.h>
}

#include "pipelines/media/av.hpp"
#include "pipelines/media/image_header.hpp"

namespace lp::pipelines {

namespace {

using av::owned;

AVCodecID codec_of(image_format format) {
  switch (format) {
    case image_format::png:
      return AV_CODEC_ID_PNG;
    case image_format::jpeg:
      return AV_CODEC_ID_MJPEG;
    case image_format::webp:
      return AV_CODEC_ID_WEBP;
    case image_format::gif:
      break;
  }
  return AV_CODEC_ID_GIF;
}

result<owned<AVCodecContext>> open_decoder(const image_header& header, std::uint64_t max_pixels) {
  av::silence();
  const AVCodec* codec = avcodec_find_decoder(codec_of(header.format));
  owned<AVCodecContext> context(codec == nullptr ? nullptr : avcodec_alloc_context3(codec));
  if (!context) {
    return fail(ec::internal,
                fmt::format("this FFmpeg has no {} decoder", to_string(header.format)));
  }
  context->thread_count = 1;
  // A stream inside may tell another size than the file's header.
  context->max_pixels = static_cast<std::int64_t>(max_pixels);
  // A damaged part is an error and not a grey area.
  context->err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE;
  if (avcodec_open2(context.get(), codec, nullptr) < 0) {
    return fail(ec::internal,
                fmt::format("FFmpeg's {} decoder cannot be opened", to_string(header.format)));
  }
  return context;
}

/// The decoder reads past the end of its input; a packet of its own has the padding.
result<owned<AVPacket>> packet_of(std::string_view file) {
  if (file.size() > std::numeric_limits<int>::max() / 2) {
    return fail(ec::too_large, "a picture's file of over 1 GiB");
  }
  owned<AVPacket> packet(av_packet_alloc());
  if (!packet || av_new_packet(packet.get(), static_cast<int>(file.size())) < 0)
    return fail(av::lacking());
  std::memcpy(packet->data, file.data(), file.size());
  packet->flags |= AV_PKT_FLAG_KEY;
  return packet;
}

// Behind the size of a colour table, which a flag byte tells (GIF89a, 18 to 21).
std::size_t behind_colours(unsigned char flags) {
  return (flags & 0x80U) == 0 ? 0 : std::size_t{3} << ((flags & 7U) + 1);
}

// Whether a GIF goes on to the end of its first picture: header and colours, then blocks, of which
// each is a row of sub-blocks with a zero behind it (GIF89a, appendix A).
bool has_first_frame(std::string_view file) {
  const auto byte = [&](std::size_t at) {
    return at < file.size() ? static_cast<unsigned char>(file[at]) : static_cast<unsigned char>(0);
  };
  std::size_t at = 13 + behind_colours(byte(10));
  while (at < file.size()) {
    const unsigned char kind = byte(at);
    const bool picture = kind == 0x2c;
    if (!picture && kind != 0x21) return false;
    at += picture ? 11 + behind_colours(byte(at + 9)) : 2;
    while (byte(at) != 0) at += 1U + byte(at);
    if (at >= file.size()) return false;
    if (picture) return true;
    ++at;
  }
  return false;
}

// FFmpeg fills what is missing of a GIF or a JPEG with one colour. A whole JPEG has an end marker,
// which cannot occur in the data of a scan (ITU T.81, B.1.1.5), but in a preview in its header.
bool cut_short(const image_header& header, std::string_view file) {
  if (header.format == image_format::gif) return !has_first_frame(file);
  if (header.format != image_format::jpeg) return false;
  const std::size_t scan = file.rfind("\xff\xda");
  const std::size_t end = file.rfind("\xff\xd9");
  return end == std::string_view::npos || (scan != std::string_view::npos && end < scan);
}

result<owned<AVFrame>> decode(const image_header& header, std::string_view file,
                              std::uint64_t max_pixels) {
  auto context = open_decoder(header, max_pixels);
  if (!context) return fail(context.error());
  auto packet = packet_of(file);
  if (!packet) return fail(packet.error());
  owned<AVFrame> frame(av_frame_alloc());
  if (!frame) return fail(av::lacking());
  const bool bad = cut_short(header, file) ||
                   avcodec_send_packet(context->get(), packet->get()) < 0 ||
                   avcodec_receive_frame(context->get(), frame.get()) < 0 ||
                   (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0 || frame->decode_error_flags != 0;
  if (bad) {
    return fail(ec::bad_file, fmt::format("a damaged {} file", to_string(header.format)));
  }
  return frame;
}

bool has_alpha(const AVFrame& frame) {
  if (frame.format == AV_PIX_FMT_PAL8) return true;
  const AVPixFmtDescriptor* d = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  return d != nullptr && (d->flags & AV_PIX_FMT_FLAG_ALPHA) != 0;
}

/// Rows of bytes in `format`, RGB24 or RGBA, each padded: the converter writes whole vectors.
struct padded_rows {
  std::size_t stride = 0;
  std::string bytes;
};

result<padded_rows> convert(const AVFrame& frame, AVPixelFormat format, std::size_t bytes_a_pixel) {
  const owned<SwsContext> context(sws_getContext(
      frame.width, frame.height, static_cast<AVPixelFormat>(frame.format), frame.width,
      frame.height, format, SWS_BICUBIC | SWS_FULL_CHR_H_INT | SWS_ACCURATE_RND, nullptr, nullptr,
      nullptr));
  if (!context) return fail(ec::unsupported_media, "a picture with a pixel format that is unknown");
  padded_rows out;
  constexpr std::size_t alignment = 64;
  const auto row = static_cast<std::size_t>(frame.width) * bytes_a_pixel;
  out.stride = (row + alignment - 1) / alignment * alignment;
  out.bytes.resize(out.stride * static_cast<std::size_t>(frame.height) + alignment);
  auto* const data = reinterpret_cast<std::uint8_t*>(out.bytes.data());
  std::uint8_t* const planes[4] = {data, nullptr, nullptr, nullptr};
  const int strides[4] = {static_cast<int>(out.stride), 0, 0, 0};
  sws_scale(context.get(), frame.data, frame.linesize, 0, frame.height, planes, strides);
  return out;
}

char over_white(char channel, unsigned alpha) {
  const unsigned value = static_cast<unsigned char>(channel);
  return static_cast<char>((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

result<rgb_image> to_rgb(const AVFrame& frame) {
  const bool transparent = has_alpha(frame);
  const std::size_t step = transparent ? 4 : 3;
  auto rows = convert(frame, transparent ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24, step);
  if (!rows) return fail(rows.error());
  rgb_image out{
      static_cast<std::uint32_t>(frame.width), static_cast<std::uint32_t>(frame.height), {}};
  out.pixels.reserve(std::size_t{3} * out.width * out.height);
  for (std::uint32_t y = 0; y < out.height; ++y) {
    const char* p = rows->bytes.data() + rows->stride * y;
    if (!transparent) {
      out.pixels.append(p, step * out.width);
      continue;
    }
    for (const char* end = p + step * out.width; p < end; p += step) {
      const auto alpha = static_cast<unsigned char>(p[3]);
      for (int c = 0; c < 3; ++c) out.pixels += over_white(p[c], alpha);
    }
  }
  return out;
}

// Where the pixel that is seen at (x, y) is stored, for each value of the tag Orientation
// (Exif 2.3, 4.6.4 A): the stored picture's row 0 and column 0 are at the seen picture's ...
struct place {
  std::uint32_t x, y;
};
place stored_place(int orientation, const rgb_image& stored, std::uint32_t x, std::uint32_t y) {
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

rgb_image upright(rgb_image stored, int orientation) {
  if (orientation == 1) return stored;
  const bool swaps = orientation >= 5;
  rgb_image out{swaps ? stored.height : stored.width, swaps ? stored.width : stored.height, {}};
  out.pixels.reserve(stored.pixels.size());
  for (std::uint32_t y = 0; y < out.height; ++y) {
    for (std::uint32_t x = 0; x < out.width; ++x) {
      const place from = stored_place(orientation, stored, x, y);
      out.pixels.append(stored.pixels, (std::size_t{from.y} * stored.width + from.x) * 3, 3);
    }
  }
  return out;
}

}  // namespace

result<rgb_image> decode_image(std::string_view file, std::uint64_t max_pixels) {
  const auto header = read_image_header(file);
  if (!header) return fail(header.error());
  if (auto ok = check_size(header->width, header->height, max_pixels); !ok) return fail(ok.error());
  const auto frame = decode(*header, file, max_pixels);
  if (!frame) return fail(frame.error());
  auto stored = to_rgb(**frame);
  if (!stored) return fail(stored.error());
  return upright(std::move(*stored), header->orientation);
}

}  // namespace lp::pipelines
