// SPDX-License-Identifier: MIT
// FFmpeg's objects with owners. For this folder's sources only.
#pragma once

#include <memory>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavutil/log.h>
#include <libswscale/swscale.h>
}

#include "runtime/base/error.hpp"

namespace lp::pipelines::av {

struct release {
  void operator()(AVCodecContext* c) const { avcodec_free_context(&c); }
  void operator()(AVFrame* f) const { av_frame_free(&f); }
  void operator()(AVPacket* p) const { av_packet_free(&p); }
  void operator()(SwsContext* s) const { sws_freeContext(s); }
};

template <class T>
using owned = std::unique_ptr<T, release>;

inline error lacking() {
  return {ec::out_of_memory, "no memory for a picture", {}};
}

/// FFmpeg prints its complaints; ours are returned.
inline void silence() {
  static const bool once = (av_log_set_level(AV_LOG_QUIET), true);
  (void)once;
}

}  // namespace lp::pipelines::av
