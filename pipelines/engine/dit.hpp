// SPDX-License-Identifier: MIT
// A diffusion transformer (arXiv 2212.09748) that draws pictures of a class: patches as tokens,
// time and class as scale, shift and gate of every block (adaLN). Its sizes follow from its
// tensors' shapes, so it needs no configuration.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/nn.hpp"

namespace lp::engine {

struct dit_config {
  std::int64_t classes = 0;
  std::int64_t channels = 0;
  std::int64_t patch = 0;   ///< pixels along a side
  std::int64_t side = 0;    ///< patches along a side
  std::int64_t width = 0;   ///< of a token
  std::int64_t inner = 0;   ///< of queries, keys and values: the heads' widths together
  std::int64_t hidden = 0;  ///< of the feed-forward part
  std::int64_t blocks = 0;

  std::int64_t heads() const { return inner / width; }
  std::int64_t picture_side() const { return patch * side; }
};

/// From the shapes in a file; ec::bad_file names the tensor that is missing or misshapen.
result<dit_config> read_dit_config(const stored_tensors& tensors);

class dit {
 public:
  dit(const dit_config& config, const scope& at);

  /// samples [N, channels, side, side] in pixels, time a step of the training, labels int64 [N] ->
  /// the noise foreseen, of the samples' shape.
  at::Tensor operator()(const at::Tensor& samples, double time, const at::Tensor& labels) const;

  const dit_config& config() const { return config_; }

 private:
  /// Scale, shift and gate that a condition gives.
  struct modulation {
    modulation(const scope& at, std::int64_t width, std::string_view number);
    at::Tensor modulate(const at::Tensor& x, const at::Tensor& condition) const;
    nn::linear scale, shift, gate;
  };
  struct block {
    block(const dit_config& c, const scope& at);
    at::Tensor operator()(const at::Tensor& x, const at::Tensor& condition) const;
    at::Tensor attend(const at::Tensor& x) const;

    nn::layer_norm norm1, norm2;
    modulation first, second;
    nn::linear q, k, v, out;
    nn::linear up, down;
    std::int64_t heads;
  };

  at::Tensor condition(double time, const at::Tensor& labels) const;

  dit_config config_;
  at::Tensor positions_;    ///< [1, tokens, width]
  at::Tensor frequencies_;  ///< [width / 2]
  nn::conv2d patches_;
  nn::linear embed_;
  nn::linear time1_, time2_;
  nn::embedding labels_;
  std::vector<block> blocks_;
  nn::layer_norm norm_;
  nn::linear out_;
};

/// The network of a file or of a part's folder (open_component()), in fp32.
result<std::unique_ptr<dit>> load_dit(const std::filesystem::path& file,
                                      at::Device device = at::kCPU, std::uint64_t* bytes = nullptr);

/// A DDIM step without fresh noise (arXiv 2010.02502, eq. 12) in which the clean sample is held to
/// [-1, 1] and the noise follows from it: `alpha` and `next` are cumulative.
at::Tensor clipped_ddim_step(const at::Tensor& sample, const at::Tensor& noise, double alpha,
                             double next);

}  // namespace lp::engine
