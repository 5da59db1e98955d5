// SPDX-License-Identifier: MIT
// Convolutional blocks that the UNet and the autoencoder share.
#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/nn.hpp"

namespace lp::engine {

/// norm-silu-conv twice around a skip; the time embedding is added between where there is one.
struct resnet_block {
  struct options {
    std::int64_t in = 0;
    std::int64_t out = 0;
    std::int64_t time_embed_dim = 0;  ///< 0: no time embedding
    std::int64_t groups = 32;
    double eps = 1e-5;
  };
  resnet_block(const scope& at, const options& o);

  /// x [N, in, H, W]; time_silu: silu of the time embedding, [N, time_embed_dim] or undefined.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time_silu) const;
  void pack();
  void visit(const nn::layer_visitor& visitor);

  nn::group_norm norm1;
  nn::conv2d conv1;
  std::optional<nn::linear> time_emb_proj;
  nn::group_norm norm2;
  nn::conv2d conv2;
  std::optional<nn::conv2d> conv_shortcut;
};

/// Halves the sides. The UNet pads by 1 on all sides; the autoencoder by 1 right and below.
struct downsample {
  downsample(const scope& at, std::int64_t channels, bool pad_right_below);
  at::Tensor operator()(const at::Tensor& x) const;

  nn::conv2d conv;
  bool asymmetric;
};

/// Nearest-neighbour to the given size (0: double), then a 3x3 convolution.
struct upsample {
  upsample(const scope& at, std::int64_t channels);
  at::Tensor operator()(const at::Tensor& x, std::int64_t height = 0, std::int64_t width = 0) const;

  nn::conv2d conv;
};

}  // namespace lp::engine
