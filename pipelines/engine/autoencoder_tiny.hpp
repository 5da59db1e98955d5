// SPDX-License-Identifier: MIT
// AutoencoderTiny (TAESD): a small convolutional autoencoder for the latents of Stable Diffusion,
// quick enough for previews. Its latents are the scaled ones of the autoencoder it stands for.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>
#include <boost/json/fwd.hpp>

#include "pipelines/engine/nn.hpp"

namespace lp::engine {

struct autoencoder_tiny_config {
  std::int64_t in_channels = 3;
  std::int64_t out_channels = 3;
  std::int64_t latent_channels = 4;
  std::vector<std::int64_t> encoder_channels{64, 64, 64, 64};
  std::vector<std::int64_t> decoder_channels{64, 64, 64, 64};
  std::vector<std::int64_t> encoder_blocks{1, 3, 3, 3};
  std::vector<std::int64_t> decoder_blocks{3, 3, 3, 1};
  double scaling_factor = 1;
  double shift_factor = 0;

  bool operator==(const autoencoder_tiny_config&) const = default;
  /// Pixels a latent covers along one side.
  std::int64_t scale() const { return std::int64_t{1} << (decoder_channels.size() - 1); }
};

/// ec::bad_file names the field that is malformed or not supported.
result<autoencoder_tiny_config> parse_autoencoder_tiny_config(const boost::json::object& config);

/// Some files hold the decoder alone: then there is no encoder.
class autoencoder_tiny {
 public:
  autoencoder_tiny(const autoencoder_tiny_config& config, const scope& at);

  bool encodes() const { return !encoder_.empty(); }
  /// picture [N, 3, H, W] in [-1, 1] -> latents [N, latent, H/scale, W/scale]
  at::Tensor encode(const at::Tensor& picture) const;
  /// latents [N, latent, h, w] -> picture [N, 3, h*scale, w*scale], about in [-1, 1]
  at::Tensor decode(const at::Tensor& latents) const;

  const autoencoder_tiny_config& config() const { return config_; }

 private:
  /// Three convolutions round a skip.
  struct block {
    block(const scope& at, std::int64_t in, std::int64_t out);
    at::Tensor operator()(const at::Tensor& x) const;

    nn::conv2d conv0, conv2, conv4;
    std::optional<nn::conv2d> skip;
  };
  /// One entry of the network's list of layers.
  struct layer {
    std::optional<nn::conv2d> conv;
    std::optional<block> residual;
    bool relu = false;
    bool doubles = false;
    at::Tensor operator()(const at::Tensor& x) const;
  };
  void build_encoder(const scope& at);
  void build_decoder(const scope& at);

  autoencoder_tiny_config config_;
  std::vector<layer> encoder_;
  std::vector<layer> decoder_;
};

}  // namespace lp::engine
