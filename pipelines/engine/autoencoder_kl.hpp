// SPDX-License-Identifier: MIT
// AutoencoderKL: pictures to latents and back.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <boost/json/fwd.hpp>

#include "pipelines/engine/nn.hpp"
#include "pipelines/engine/resnet.hpp"

namespace lp::engine {

struct autoencoder_kl_config {
  std::int64_t in_channels = 3;
  std::int64_t out_channels = 3;
  std::int64_t latent_channels = 4;
  std::vector<std::int64_t> block_out_channels;
  std::int64_t layers_per_block = 1;
  std::int64_t norm_num_groups = 32;
  std::int64_t sample_size = 32;  ///< side of a tile, in pixels
  double scaling_factor = 0.18215;
  double shift_factor = 0;
  bool mid_block_add_attention = true;
  bool use_quant_conv = true;
  bool use_post_quant_conv = true;

  bool operator==(const autoencoder_kl_config&) const = default;
  /// Pixels a latent covers along one side.
  std::int64_t scale() const { return std::int64_t{1} << (block_out_channels.size() - 1); }
};

/// ec::bad_file names the field that is missing, malformed or not supported.
result<autoencoder_kl_config> parse_autoencoder_kl_config(const boost::json::object& config);

/// The posterior of an encoded picture.
struct latent_distribution {
  at::Tensor mean;
  at::Tensor std;

  /// moments [N, 2*latent, h, w]: means, then logarithms of variances (clamped to [-30, 20]).
  static latent_distribution from_moments(const at::Tensor& moments);
  /// mean + std * noise with fp32 CPU noise of the whole shape.
  at::Tensor sample(at::Generator generator) const;
};

/// Tiles overlap and are blended over the overlap; the result differs a little from untiled.
struct tiling {
  std::int64_t sample_size = 512;  ///< tile side in pixels
  std::int64_t latent_size = 64;   ///< tile side in latents
  double overlap = 0.25;           ///< share of a tile that overlaps its neighbour
};

/// Self-attention over all positions, one head: the autoencoder's middle.
struct autoencoder_attention {
  /// Takes the names of diffusers before 0.17 (query, key, value, proj_attn) where the source has
  /// them.
  autoencoder_attention(const scope& at, std::int64_t channels, std::int64_t groups);
  at::Tensor operator()(const at::Tensor& x) const;

  nn::group_norm norm;
  nn::linear q, k, v, out;
};

class autoencoder_kl {
 public:
  autoencoder_kl(const autoencoder_kl_config& config, const scope& at);

  /// picture [N, in_channels, H, W] in [-1, 1] -> moments [N, 2*latent, H/scale, W/scale], in the
  /// picture's dtype. Not scaled by scaling_factor.
  at::Tensor encode(const at::Tensor& picture) const;
  at::Tensor encode_tiled(const at::Tensor& picture, const tiling& tiles) const;

  /// latents (already divided by scaling_factor) [N, latent, h, w] -> [N, out_channels, h*scale,
  /// w*scale], in the latents' dtype.
  at::Tensor decode(const at::Tensor& latents) const;
  at::Tensor decode_tiled(const at::Tensor& latents, const tiling& tiles) const;

  const autoencoder_kl_config& config() const { return config_; }
  /// That convolutions compute in.
  at::ScalarType dtype() const { return decoder_.mid.resnet0.conv1.weight.scalar_type(); }

 private:
  struct level {
    std::vector<resnet_block> resnets;
    std::optional<downsample> down;
    std::optional<upsample> up;
  };
  struct middle {
    middle(const autoencoder_kl_config& config, const scope& at);
    at::Tensor operator()(const at::Tensor& x) const;

    resnet_block resnet0, resnet1;
    std::optional<autoencoder_attention> attention;
  };
  struct encoder {
    encoder(const autoencoder_kl_config& config, const scope& at);
    at::Tensor operator()(const at::Tensor& picture) const;

    nn::conv2d conv_in;
    std::vector<level> levels;
    middle mid;
    nn::group_norm norm_out;
    nn::conv2d conv_out;
  };
  struct decoder {
    decoder(const autoencoder_kl_config& config, const scope& at);
    at::Tensor operator()(const at::Tensor& latents) const;

    nn::conv2d conv_in;
    middle mid;
    std::vector<level> levels;
    nn::group_norm norm_out;
    nn::conv2d conv_out;
  };

  /// What lies between layers. On the CPU it is fp32 even where convolutions compute in bf16: a
  /// picture's flat areas would show the rounding of sums.
  at::ScalarType plane_type() const;

  autoencoder_kl_config config_;
  encoder encoder_;
  decoder decoder_;
  std::optional<nn::conv2d> quant_conv_;
  std::optional<nn::conv2d> post_quant_conv_;
};

}  // namespace lp::engine
