// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

#include "pipelines/media/rgb_image.hpp"

namespace lp::pipelines {

/// A PNG, JPEG, WebP or GIF file (its first frame) as a person sees it: 8 bits a channel, turned
/// upright as its Exif data say, what is transparent laid on white. The size that its header tells
/// is held against the limits before anything is decoded: ec::too_large. ec::unsupported_media if
/// it is none of these formats, ec::bad_file if it is damaged or cut short.
result<rgb_image> decode_image(std::string_view file, std::uint64_t max_pixels = max_image_pixels);

}  // namespace lp::pipelines
