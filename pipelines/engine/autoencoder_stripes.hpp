// SPDX-License-Identifier: MIT
// The autoencoder's layers over planes too large to be held several times. A layer reads its input
// a stripe of rows at a time (norm, activation and oneDNN's reordered copies are made of the stripe
// alone) and writes into one plane for its result. Norms need the whole plane's statistics: a pass
// of their own, which makes no copy. The result is that of the whole plane but for rounding.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/nn.hpp"
#include "pipelines/engine/resnet.hpp"

namespace lp::engine::stripes {

/// Rows worked on at once where a plane of so many fp32 numbers a row is to be cut; even, and at
/// least 8. Planes of no more rows are left whole.
std::int64_t rows_at_once(std::int64_t channels, std::int64_t width);

/// Each is the layer itself where that is not worth cutting (`x` or the result has too few rows) or
/// not possible (more than one entry, other types and devices than fp32 on the CPU, gradients).
at::Tensor convolve(const nn::conv2d& conv, const at::Tensor& x);
at::Tensor convolve(const nn::group_norm& norm, const nn::conv2d& conv, const at::Tensor& x);
/// A block without time embedding.
at::Tensor residual(const resnet_block& block, const at::Tensor& x);
/// To twice the size.
at::Tensor double_size(const upsample& layer, const at::Tensor& x);
/// A layer that pads right and below.
at::Tensor halve_size(const downsample& layer, const at::Tensor& x);

}  // namespace lp::engine::stripes
