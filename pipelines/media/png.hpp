// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "pipelines/media/rgb_image.hpp"

namespace lp::pipelines {

/// A PNG file of the pixels. ec::too_large beyond the limits, ec::internal if they do not fill the
/// picture.
result<std::string> encode_png(const rgb_image& image);

}  // namespace lp::pipelines
