// SPDX-License-Identifier: MIT
#include "pipelines/media/png.hpp"

#include <cstring>

#include <fmt/format.h>

#include "pipelines/media/av.hpp"

namespace lp::pipelines {

namespace {

using av::owned;

/// zlib's level: beyond it files hardly shrink and the time doubles.
constexpr int compression = 4;

result<owned<AVCodecContext>> open_encoder(int width, int height) {
  av::silence();
  const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
  owned<AVCodecContext> context(codec == nullptr ? nullptr : avcodec_alloc_context3(codec));
  if (!context) return fail(ec::internal, "this FFmpeg has no PNG encoder");
  context->thread_count = 1;
  context->width = width;
  context->height = height;
  context->pix_fmt = AV_PIX_FMT_RGB24;
  context->time_base = {1, 1};
  context->compression_level = compression;
  // Unset, the file would say that its pixels are 0 by 0.
  context->sample_aspect_ratio = {1, 1};
  if (avcodec_open2(context.get(), codec, nullptr) < 0)
    return fail(ec::internal, "FFmpeg's PNG encoder cannot be opened");
  return context;
}

result<owned<AVFrame>> frame_of(const rgb_image& image) {
  owned<AVFrame> frame(av_frame_alloc());
  if (!frame) return fail(av::lacking());
  frame->format = AV_PIX_FMT_RGB24;
  frame->width = static_cast<int>(image.width);
  frame->height = static_cast<int>(image.height);
  if (av_frame_get_buffer(frame.get(), 0) < 0) return fail(av::lacking());
  const std::size_t row = std::size_t{3} * image.width;
  for (std::uint32_t y = 0; y < image.height; ++y)
    std::memcpy(frame->data[0] + std::ptrdiff_t{frame->linesize[0]} * y,
                image.pixels.data() + row * y, row);
  return frame;
}

}  // namespace

result<void> check_size(std::uint64_t width, std::uint64_t height, std::uint64_t max_pixels) {
  if (width >= 1 && height >= 1 && width <= max_image_side && height <= max_image_side &&
      width * height <= max_pixels)
    return {};
  return fail(ec::too_large,
              fmt::format("a picture of {}x{} pixels; expected sides from 1 to {} and at most {} "
                          "pixels",
                          width, height, max_image_side, max_pixels));
}

result<std::string> encode_png(const rgb_image& image) {
  if (auto ok = check_size(image.width, image.height); !ok) return fail(ok.error());
  if (image.pixels.size() != std::size_t{3} * image.width * image.height)
    return fail(ec::internal, "encode_png: the pixels do not fill the picture");
  auto context = open_encoder(static_cast<int>(image.width), static_cast<int>(image.height));
  if (!context) return fail(context.error());
  const auto frame = frame_of(image);
  if (!frame) return fail(frame.error());
  const owned<AVPacket> packet(av_packet_alloc());
  if (!packet) return fail(av::lacking());
  if (avcodec_send_frame(context->get(), frame->get()) < 0 ||
      avcodec_send_frame(context->get(), nullptr) < 0 ||
      avcodec_receive_packet(context->get(), packet.get()) < 0)
    return fail(ec::internal, "FFmpeg could not encode a PNG");
  return std::string(reinterpret_cast<const char*>(packet->data),
                     static_cast<std::size_t>(packet->size));
}

}  // namespace lp::pipelines
