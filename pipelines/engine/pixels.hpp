// SPDX-License-Identifier: MIT
// Pictures as the networks give them to pictures as files have them.
#pragma once

#include <ATen/core/Tensor.h>

#include "pipelines/engine/png.hpp"

namespace lp::engine {

/// The 8-bit pixels of a [1, 3, h, w] picture in [0, 1], fp32, on the CPU.
rgb_image to_pixels(const at::Tensor& picture);

/// The 8-bit pixels of what an autoencoder decoded, [1, 3 or 1, h, w] in [-1, 1] of any floating
/// type: the same as those of decoded / 2 + 0.5. On a GPU one kernel makes them, and the bytes
/// alone cross to the host.
rgb_image decoded_pixels(const at::Tensor& decoded);

}  // namespace lp::engine
