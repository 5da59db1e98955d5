// SPDX-License-Identifier: MIT
// The engine's names for pictures in and out; see pipelines/media.
#pragma once

#include <string_view>

#include "pipelines/media/decode.hpp"
#include "pipelines/media/png.hpp"

namespace lp::engine {

using pipelines::encode_png;
using pipelines::rgb_image;

inline result<rgb_image> decode_png(std::string_view file) {
  return pipelines::decode_image(file);
}

}  // namespace lp::engine
