// SPDX-License-Identifier: MIT
// The UNet's spatial transformer (Transformer2DModel with BasicTransformerBlock).
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/nn.hpp"

namespace lp::engine {

/// Multi-head attention with its projections; keys and values come from `context`.
struct cross_attention {
  cross_attention(const scope& at, std::int64_t size, std::int64_t context_size,
                  std::int64_t head_count);
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& context) const;

  nn::linear q, k, v, out;
  std::int64_t heads;
};

/// Self-attention, attention to the text, gated feed-forward, each around a skip.
struct transformer_block {
  transformer_block(const scope& at, std::int64_t size, std::int64_t context_size,
                    std::int64_t heads, bool only_cross);
  at::Tensor operator()(at::Tensor x, const at::Tensor& context) const;

  nn::layer_norm norm1;
  cross_attention attn1;
  nn::layer_norm norm2;
  cross_attention attn2;
  nn::layer_norm norm3;
  nn::linear gate, down;  ///< GEGLU: gate gives value and gate side by side
  bool only_cross_attention;
};

struct spatial_transformer {
  struct options {
    std::int64_t channels = 0;
    std::int64_t context_size = 0;
    std::int64_t heads = 0;
    std::int64_t layers = 1;
    std::int64_t groups = 32;
    bool linear_projection = false;
    bool only_cross_attention = false;
  };
  spatial_transformer(const scope& at, const options& o);

  /// x [N, C, H, W], context [N, tokens, context_size] -> [N, C, H, W].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& context) const;
  void visit(const nn::layer_visitor& visitor);

  nn::group_norm norm;
  nn::linear proj_in;
  std::vector<transformer_block> blocks;
  nn::linear proj_out;
};

}  // namespace lp::engine
