// SPDX-License-Identifier: MIT
#include "tools/lp-job/picture.hpp"

#include <cstring>
#include <memory>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libswscale/swscale.h>
}

#include <fmt/format.h>

namespace lp::job {

namespace {

constexpr int longest_side = 16384;

struct release {
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
  void operator()(AVPacket* p) const { av_packet_free(&p); }
  void operator()(AVFrame* p) const { av_frame_free(&p); }
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

result<picture> decode_png(std::string_view file) {
  av_log_set_level(AV_LOG_QUIET);
  const AVCodec* codec = avcodec_find_decoder(AV_CODEC_ID_PNG);
  const owned<AVCodecContext> context(avcodec_alloc_context3(codec));
  const owned<AVPacket> packet(av_packet_alloc());
  const owned<AVFrame> frame(av_frame_alloc());
  if (codec == nullptr || !context || !packet || !frame) return bad_picture("no PNG decoder");
  context->max_pixels = std::int64_t{longest_side} * longest_side;
  if (avcodec_open2(context.get(), codec, nullptr) < 0) return bad_picture("no PNG decoder");
  if (file.empty() || file.size() > (1U << 30)) return bad_picture("no PNG file");
  if (av_new_packet(packet.get(), static_cast<int>(file.size())) < 0) {
    return bad_picture("out of memory");
  }
  std::memcpy(packet->data, file.data(), file.size());
  if (avcodec_send_packet(context.get(), packet.get()) < 0 ||
      avcodec_receive_frame(context.get(), frame.get()) < 0) {
    return bad_picture("it is no PNG file");
  }
  if (frame->width > longest_side || frame->height > longest_side) {
    return bad_picture("it is too large");
  }
  return to_rgb(frame->data, frame->linesize, frame->width, frame->height, frame->format,
                frame->width, frame->height);
}

result<picture> scaled(const picture& from, int width, int height) {
  if (width == from.width && height == from.height) return from;
  const auto* data = reinterpret_cast<const std::uint8_t*>(from.rgb.data());
  const std::uint8_t* const planes[] = {data, nullptr, nullptr, nullptr};
  const int strides[] = {from.width * 3, 0, 0, 0};
  return to_rgb(planes, strides, from.width, from.height, AV_PIX_FMT_RGB24, width, height);
}

}  // namespace lp::job
