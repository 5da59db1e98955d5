// SPDX-License-Identifier: MIT
// The transformer layer of both of CLIP's encoders (arXiv 2103.00020).
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/nn.hpp"

namespace lp::engine {

struct clip_layer_config {
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_attention_heads = 1;
  double layer_norm_eps = 1e-5;
  nn::activation hidden_act = nn::activation::quick_gelu;
  bool causal = false;  ///< text: no token sees those behind it
};

class config_reader;

/// What the settings of both encoders have to say of their layers.
nn::activation read_hidden_act(config_reader& in);
void check_heads(config_reader& in, std::int64_t hidden_size, std::int64_t heads);

/// Attention, then a perceptron, each behind a norm and round a skip.
struct clip_layer {
  clip_layer(const clip_layer_config& config, const scope& at);

  /// [N, tokens, hidden_size] -> the same.
  at::Tensor operator()(const at::Tensor& x) const;

  void visit(const nn::layer_visitor& visitor);

  nn::layer_norm norm1;
  nn::linear q, k, v, out;
  nn::layer_norm norm2;
  nn::linear fc1, fc2;
  std::int64_t heads;
  nn::activation act;
  bool causal;
};

}  // namespace lp::engine
