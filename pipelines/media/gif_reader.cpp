// SPDX-License-Identifier: MIT
// A GIF's first picture, with FFmpeg.
#include <cstring>
#include <limits>

#include "pipelines/media/av.hpp"
#include "pipelines/media/raw_image.hpp"

namespace lp::pipelines {

namespace {

using av::owned;

result<owned<AVCodecContext>> open_decoder(const image_header& header) {
  av::silence();
  const AVCodec* codec = avcodec_find_decoder(AV_CODEC_ID_GIF);
  owned<AVCodecContext> context(codec == nullptr ? nullptr : avcodec_alloc_context3(codec));
  if (!context) return fail(ec::internal, "this FFmpeg has no GIF decoder");
  context->thread_count = 1;
  // Of a frame with its padding.
  context->max_pixels = std::int64_t{header.width + 128} * (header.height + 128);
  // A damaged part is an error and not an area of one colour.
  context->err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE;
  if (avcodec_open2(context.get(), codec, nullptr) < 0) {
    return fail(ec::internal, "FFmpeg's GIF decoder cannot be opened");
  }
  return context;
}

// The size of a colour table, which a flag byte tells (GIF89a, 18 to 21).
std::size_t colours_size(unsigned char flags) {
  return (flags & 0x80U) == 0 ? 0 : std::size_t{3} << ((flags & 7U) + 1);
}

struct first_picture {
  std::size_t end = 0;      ///< behind its last byte; 0: the file ends before
  std::size_t control = 0;  ///< where the flags of its graphic control extension are; 0: none
};

// Header and colours, then blocks, of which each is a row of sub-blocks with a zero behind it
// (GIF89a, appendix A).
first_picture find_first(std::string_view file) {
  const auto byte = [&](std::size_t at) {
    return at < file.size() ? static_cast<unsigned char>(file[at]) : static_cast<unsigned char>(0);
  };
  first_picture out;
  std::size_t at = 13 + colours_size(byte(10));
  while (at < file.size()) {
    const unsigned char kind = byte(at);
    const bool picture = kind == 0x2c;
    if (!picture && kind != 0x21) return {};
    if (!picture && byte(at + 1) == 0xf9 && byte(at + 2) == 4) out.control = at + 3;
    at += picture ? 11 + colours_size(byte(at + 9)) : 2;
    while (byte(at) != 0) at += 1U + byte(at);
    if (at >= file.size()) return {};
    ++at;
    if (!picture) continue;
    out.end = at;
    return out;
  }
  return {};
}

/// The first picture alone, closed by a trailer, in a packet with the padding that the decoder
/// reads into.
result<owned<AVPacket>> packet_of(const decoder_input& in, const first_picture& first) {
  if (first.end >= std::numeric_limits<int>::max() / 2) {
    return fail(ec::too_large, "a picture's file of over 1 GiB");
  }
  owned<AVPacket> packet(av_packet_alloc());
  if (!packet || av_new_packet(packet.get(), static_cast<int>(first.end + 1)) < 0) {
    return fail(av::lacking());
  }
  std::memcpy(packet->data, in.file.data(), first.end);
  packet->data[first.end] = 0x3b;
  // A colour that means "transparent" is a colour again.
  if (in.colours_only && first.control != 0) packet->data[first.control] &= 0xfeU;
  packet->flags |= AV_PKT_FLAG_KEY;
  return packet;
}

// From 32-bit values, alpha highest.
raw_image to_rgba(const AVFrame& frame) {
  raw_image out{
      static_cast<std::uint32_t>(frame.width), static_cast<std::uint32_t>(frame.height), 4, {}};
  out.pixels.resize(out.row() * out.height);
  for (std::uint32_t y = 0; y < out.height; ++y) {
    const std::uint8_t* from = frame.data[0] + std::ptrdiff_t{frame.linesize[0]} * y;
    unsigned char* to = out.at(y);
    for (std::uint32_t x = 0; x < out.width; ++x, from += 4, to += 4) {
      std::uint32_t value = 0;
      std::memcpy(&value, from, 4);
      to[0] = static_cast<unsigned char>(value >> 16U);
      to[1] = static_cast<unsigned char>(value >> 8U);
      to[2] = static_cast<unsigned char>(value);
      to[3] = static_cast<unsigned char>(value >> 24U);
    }
  }
  return out;
}

}  // namespace

result<raw_image> decode_gif(const decoder_input& in) {
  // FFmpeg fills what is missing with one colour.
  const first_picture first = find_first(in.file);
  if (first.end == 0) return damaged(image_format::gif, "its first picture is cut short");
  auto context = open_decoder(in.header);
  if (!context) return fail(context.error());
  auto packet = packet_of(in, first);
  if (!packet) return fail(packet.error());
  const owned<AVFrame> frame(av_frame_alloc());
  if (!frame) return fail(av::lacking());
  const bool bad = avcodec_send_packet(context->get(), packet->get()) < 0 ||
                   avcodec_receive_frame(context->get(), frame.get()) < 0 ||
                   (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0 || frame->decode_error_flags != 0 ||
                   frame->format != AV_PIX_FMT_RGB32 ||
                   static_cast<std::uint32_t>(frame->width) != in.header.width ||
                   static_cast<std::uint32_t>(frame->height) != in.header.height;
  if (bad) return damaged(image_format::gif, "its first picture cannot be decoded");
  return to_rgba(*frame);
}

}  // namespace lp::pipelines
