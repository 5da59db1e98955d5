// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

#include "pipelines/media/rgb_image.hpp"
#include "runtime/base/cancel.hpp"
#include "runtime/base/clock.hpp"

namespace lp::pipelines {

/// What decoding a file may cost, and what ends it early.
struct decode_limits {
  std::uint64_t max_pixels = max_image_pixels;
  milliseconds processor_time{0};  ///< of the calling thread; 0: no limit
  cancel_token stop{};
};

/// What is made of a file: colours as they are seen, or a mask.
enum class picture_form { rgb, mask };

/// A PNG, JPEG, WebP or GIF file (its first frame) as a person sees it: 8 bits a channel, turned
/// upright as its Exif data say, what is transparent laid on white. Colours are Pillow's
/// `convert("RGB")` where nothing is transparent. The size that its header tells is held against
/// the limits before anything is decoded: ec::too_large, as for one that takes too long.
/// ec::unsupported_media if it is none of these formats or of a kind that no decoder takes,
/// ec::bad_file if it is damaged or cut short, ec::cancelled if it was stopped. Chunks that do not
/// change pixels are not looked at, and may be broken.
result<rgb_image> decode_image(std::string_view file, const decode_limits& limits = {});

/// The same file as a mask: Pillow's `convert("L")`, the luma of ITU-R BT.601 of the stored
/// colours. Transparency does not count.
result<grey_image> decode_mask(std::string_view file, const decode_limits& limits = {});

}  // namespace lp::pipelines
