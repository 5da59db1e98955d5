// SPDX-License-Identifier: MIT
// Layers as plain structs over tensors. A constructor names its weights to a scope; operator()
// computes. The same code serves inference and training: where gradients are recorded nothing is
// overwritten. Normalisation, softmax and time embeddings compute in fp32 whatever the weights are
// (libtorch 1.13 sums bf16 moments in bf16, pytorch issue 77507).
//
// Without gradients, on the CPU, each entry of a batch (dimension 0) comes out bit for bit as it
// would alone. What that takes was measured with OpenBLAS 0.3.21 and oneDNN 2.6: packed
// convolutions, norms and large products hold it by themselves; OpenBLAS switches kernels for small
// products and ATen's vector loops end in scalar code, so these two go entry by entry.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/parameters.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine::nn {

enum class activation { none, silu, gelu, quick_gelu, relu };

/// Config spellings: "silu"/"swish", "gelu", "quick_gelu", "relu". Others are ec::bad_file.
result<activation> parse_activation(std::string_view name);

/// Elementwise; the same dtype as the input. gelu is the exact one, quick_gelu is
/// x*sigmoid(1.702x).
at::Tensor activate(const at::Tensor& x, activation kind);
inline at::Tensor silu(const at::Tensor& x) {
  return activate(x, activation::silu);
}

/// A low-rank addition to a layer (arXiv 2106.09685): y += scale * up(down(x)). For a linear layer
/// down [rank, in] and up [out, rank]; for a convolution down [rank, in, kernel, kernel] and up
/// [out, rank, 1, 1].
struct adapter {
  at::Tensor down;
  at::Tensor up;
  double scale = 1;
};

/// y = x W^T + b over the last dimension. weight [out, in], bias [out] or undefined.
struct linear {
  linear(const scope& at, std::int64_t in, std::int64_t out, bool with_bias = true);
  /// A linear layer that files hold as a 1x1 convolution: weight [out, in, 1, 1].
  static linear stored_as_conv(const scope& at, std::int64_t in, std::int64_t out);
  at::Tensor operator()(const at::Tensor& x) const;

  at::Tensor weight;
  at::Tensor bias;
  std::string name;  ///< of the layer: its place in the network
  std::vector<adapter> adapters;

 private:
  linear(at::Tensor w, at::Tensor b, std::string place)
      : weight(std::move(w)), bias(std::move(b)), name(std::move(place)) {}
};

struct conv2d_options {
  std::int64_t kernel = 3;
  std::int64_t stride = 1;
  std::int64_t padding = 1;
  bool with_bias = true;
};

/// x [N, in, H, W] -> [N, out, H', W'] of x's type; weight [out, in, kernel, kernel], in whose type
/// it is computed.
struct conv2d {
  conv2d(const scope& at, std::int64_t in, std::int64_t out, conv2d_options options = {});
  at::Tensor operator()(const at::Tensor& x) const;

  /// Puts the weight into the order in which oneDNN computes, which it would otherwise do in every
  /// call: worth a tenth of a UNet's time. For CPU weights that do not change any more; without
  /// effect on others. Not while another thread uses the layer.
  void pack();

  at::Tensor weight;
  at::Tensor bias;
  std::int64_t stride;
  std::int64_t padding;
  std::string name;  ///< of the layer: its place in the network
  std::vector<adapter> adapters;
};

/// What walks over a network's layers is given: each linear layer and each convolution.
struct layer_visitor {
  std::function<void(linear&)> on_linear;
  std::function<void(conv2d&)> on_conv;
};

/// x [N, channels, ...]; an activation may follow at once, which saves a pass over memory.
struct group_norm {
  group_norm(const scope& at, std::int64_t group_count, std::int64_t channels, double epsilon);
  at::Tensor operator()(const at::Tensor& x, activation then = activation::none) const;

  at::Tensor weight;
  at::Tensor bias;
  std::int64_t groups;
  double eps;
};

/// Over the last dimension.
struct layer_norm {
  layer_norm(const scope& at, std::int64_t size, double epsilon = 1e-5);
  at::Tensor operator()(const at::Tensor& x) const;

  at::Tensor weight;
  at::Tensor bias;
  double eps;
};

/// Rows of a table by int64 index: [...] -> [..., size].
struct embedding {
  embedding(const scope& at, std::int64_t count, std::int64_t size);
  at::Tensor operator()(const at::Tensor& ids) const;

  at::Tensor weight;
};

/// Sinusoidal embedding of times [N] -> fp32 [N, size] ("Attention is all you need" section 3.5 in
/// the form of DDPM): frequencies exp(-ln(10000) i / (size/2 - freq_shift)); sine first unless
/// `flip_sin_to_cos`. Odd sizes get a zero column.
at::Tensor timestep_embedding(const at::Tensor& times, std::int64_t size, bool flip_sin_to_cos,
                              double freq_shift);

/// True where results may overwrite tensors that the caller owns: no gradients are recorded.
bool may_overwrite();

/// a + b, into a where that is allowed. `a` must be a fresh tensor of the caller.
at::Tensor add_to(at::Tensor a, const at::Tensor& b);

}  // namespace lp::engine::nn
