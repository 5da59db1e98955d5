// SPDX-License-Identifier: MIT
// Pictures made larger and smaller bit for bit as Pillow does, which the processors that feed
// networks rely on. Without torch.
#pragma once

#include <cstdint>

#include "pipelines/media/rgb_image.hpp"

namespace lp::pipelines {

/// Pillow's numbers for its filters, which configuration files hold.
enum class resampling { nearest = 0, lanczos = 1, bilinear = 2, bicubic = 3 };

/// How many binary places weights keep; a result differs by 1 here and there.
enum class weight_places {
  pillow,       ///< 22
  torchvision,  ///< as many as fit into 16 bits (libtorch's resizing of bytes)
};

/// The picture at another size. Reduced pictures are averaged over all they cover (antialiasing);
/// along the rows first, then along the columns (as of Pillow 13 the other way round where a
/// picture grows wider and less high), each pass rounded to 8 bits. Bicubic is the one with a =
/// -0.5, Lanczos the one of three lobes. ec::too_large as check_size().
result<rgb_image> resample(const rgb_image& picture, std::uint32_t width, std::uint32_t height,
                           resampling filter, weight_places places = weight_places::pillow);

}  // namespace lp::pipelines
