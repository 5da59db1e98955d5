// SPDX-License-Identifier: MIT
#include "pipelines/engine/png.hpp"

#include <cstring>
#include <memory>

#include <fmt/format.h>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libavutil/log.h>
#include <libswscale/swscale.h>
}

namespace lp::engine {

namespace {

struct free_av {
  void operator()(AVCodecContext* c) const { avcodec_free_context(&c); }
  void operator()(AVFrame* f) const { av_frame_free(&f); }
  void operator()(AVPacket* p) const { av_packet_free(&p); }
  void operator()(SwsContext* s) const { sws_freeContext(s); }
};
template <class T>
using owned = std::unique_ptr<T, free_av>;

/// zlib's level: beyond it files hardly shrink and the time doubles.
constexpr int compression = 4;

result<void> check_size(std::uint64_t width, std::uint64_t height, std::uint64_t max_pixels) {
  if (width >= 1 && height >= 1 && width <= max_image_side && height <= max_image_side &&
      width * height <= max_pixels)
    return {};
  return fail(ec::too_large,
              fmt::format("a picture of {}x{} pixels; expected sides from 1 to {} and at most {} "
                          "pixels",
                          width, height, max_image_side, max_pixels));
}

error lacking() {
  return {ec::out_of_memory, "no memory for a picture", {}};
}

/// FFmpeg prints its complaints; ours are returned.
void silence() {
  static const bool once = (av_log_set_level(AV_LOG_QUIET), true);
  (void)once;
}

result<owned<AVCodecContext>> open_codec(const AVCodec* codec, int width, int height) {
  silence();
  owned<AVCodecContext> context(codec == nullptr ? nullptr : avcodec_alloc_context3(codec));
  if (!context) return fail(ec::internal, "this FFmpeg has no PNG codec");
  context->thread_count = 1;
  if (av_codec_is_encoder(codec) != 0) {
    context->width = width;
    context->height = height;
    context->pix_fmt = AV_PIX_FMT_RGB24;
    context->time_base = {1, 1};
    context->compression_level = compression;
  }
  if (avcodec_open2(context.get(), codec, nullptr) < 0)
    return fail(ec::internal, "FFmpeg's PNG codec cannot be opened");
  return context;
}

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char b : bytes) value = value << 8 | static_cast<unsigned char>(b);
  return value;
}

/// The decoder reads past the end of its input by this much; a packet of its own has the padding.
result<owned<AVPacket>> packet_of(std::string_view file) {
  owned<AVPacket> packet(av_packet_alloc());
  if (!packet || av_new_packet(packet.get(), static_cast<int>(file.size())) < 0)
    return fail(lacking());
  std::memcpy(packet->data, file.data(), file.size());
  return packet;
}

result<rgb_image> to_rgb(const AVFrame& frame) {
  rgb_image out{
      static_cast<std::uint32_t>(frame.width), static_cast<std::uint32_t>(frame.height), {}};
  out.pixels.resize(std::size_t{3} * out.width * out.height);
  const owned<SwsContext> convert(sws_getContext(
      frame.width, frame.height, static_cast<AVPixelFormat>(frame.format), frame.width,
      frame.height, AV_PIX_FMT_RGB24, SWS_POINT | SWS_ACCURATE_RND, nullptr, nullptr, nullptr));
  if (!convert) return fail(ec::unsupported_media, "a PNG with a pixel format that is not known");
  auto* const rows = reinterpret_cast<std::uint8_t*>(out.pixels.data());
  std::uint8_t* const planes[4] = {rows, nullptr, nullptr, nullptr};
  const int strides[4] = {static_cast<int>(3 * out.width), 0, 0, 0};
  sws_scale(convert.get(), frame.data, frame.linesize, 0, frame.height, planes, strides);
  return out;
}

}  // namespace

result<std::string> encode_png(const rgb_image& image) {
  if (auto ok = check_size(image.width, image.height, max_image_pixels); !ok)
    return fail(ok.error());
  const std::size_t row = std::size_t{3} * image.width;
  if (image.pixels.size() != row * image.height)
    return fail(ec::internal, "encode_png: the pixels do not fill the picture");
  auto context = open_codec(avcodec_find_encoder(AV_CODEC_ID_PNG), static_cast<int>(image.width),
                            static_cast<int>(image.height));
  if (!context) return fail(context.error());
  const owned<AVFrame> frame(av_frame_alloc());
  const owned<AVPacket> packet(av_packet_alloc());
  if (!frame || !packet) return fail(lacking());
  frame->format = AV_PIX_FMT_RGB24;
  frame->width = static_cast<int>(image.width);
  frame->height = static_cast<int>(image.height);
  if (av_frame_get_buffer(frame.get(), 0) < 0) return fail(lacking());
  for (std::uint32_t y = 0; y < image.height; ++y)
    std::memcpy(frame->data[0] + std::ptrdiff_t{frame->linesize[0]} * y,
                image.pixels.data() + row * y, row);
  if (avcodec_send_frame(context->get(), frame.get()) < 0 ||
      avcodec_send_frame(context->get(), nullptr) < 0 ||
      avcodec_receive_packet(context->get(), packet.get()) < 0)
    return fail(ec::internal, "FFmpeg could not encode a PNG");
  return std::string(reinterpret_cast<const char*>(packet->data),
                     static_cast<std::size_t>(packet->size));
}

result<rgb_image> decode_png(std::string_view file, std::uint64_t max_pixels) {
  // Signature, then the header chunk: length, "IHDR", width, height (PNG specification, 11.2.2).
  constexpr std::string_view signature("\x89PNG\r\n\x1a\n", 8);
  if (file.size() < 33 || !file.starts_with(signature) || file.substr(12, 4) != "IHDR")
    return fail(ec::unsupported_media, "not a PNG file");
  if (auto ok =
          check_size(big_endian(file.substr(16, 4)), big_endian(file.substr(20, 4)), max_pixels);
      !ok)
    return fail(ok.error());
  auto context = open_codec(avcodec_find_decoder(AV_CODEC_ID_PNG), 0, 0);
  if (!context) return fail(context.error());
  // A damaged part is an error and not a grey area.
  (*context)->err_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE;
  auto packet = packet_of(file);
  if (!packet) return fail(packet.error());
  const owned<AVFrame> frame(av_frame_alloc());
  if (!frame) return fail(lacking());
  if (avcodec_send_packet(context->get(), packet->get()) < 0 ||
      avcodec_receive_frame(context->get(), frame.get()) < 0)
    return fail(ec::unsupported_media, "a damaged PNG file");
  return to_rgb(*frame);
}

}  // namespace lp::engine
