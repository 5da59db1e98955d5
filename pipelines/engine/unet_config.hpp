// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include <boost/json/fwd.hpp>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// One resolution of the UNet. Level 0 is the finest; the way up uses the same facts in reverse.
struct unet_level {
  std::int64_t channels = 0;
  std::int64_t layers = 2;              ///< residual blocks on the way down; one more on the way up
  std::int64_t transformer_layers = 1;  ///< transformer blocks after each residual block
  std::int64_t heads = 8;
  std::int64_t cross_attention_dim = 1280;  ///< width of the text's embeddings
  bool only_cross_attention = false;        ///< the first attention looks at the text as well
  bool down_attention = false;              ///< CrossAttnDownBlock2D
  bool up_attention = false;                ///< CrossAttnUpBlock2D, in the level's own place

  bool operator==(const unet_level&) const = default;
};

/// How class_labels enter the time embedding.
enum class class_embedding { none, table, timestep, identity, projection };

/// What a UNet2DConditionModel's config.json says, as far as a diffusers checkpoint of SD 1.x, 2.x,
/// XL, LCM, inpainting and x4 upscaling uses it.
struct unet_config {
  std::int64_t in_channels = 4;
  std::int64_t out_channels = 4;
  std::int64_t sample_size = 64;  ///< the latent's usual side
  std::vector<unet_level> levels;
  bool mid_block = true;
  bool mid_only_cross_attention = false;
  bool use_linear_projection = false;
  std::int64_t norm_num_groups = 32;
  double norm_eps = 1e-5;
  bool center_input_sample = false;
  bool flip_sin_to_cos = true;
  double freq_shift = 0;
  std::int64_t time_cond_proj_dim = 0;  ///< LCM's guidance embedding; 0: none
  class_embedding class_embed = class_embedding::none;
  std::int64_t num_class_embeds = 0;
  bool text_time = false;  ///< SDXL: pooled text and sizes are added to the time embedding
  std::int64_t addition_time_embed_dim = 0;
  std::int64_t projection_class_embeddings_input_dim = 0;

  bool operator==(const unet_config&) const = default;
  std::int64_t time_embed_dim() const { return levels.front().channels * 4; }
};

/// ec::bad_file names the field that is missing, malformed or asks for what is not supported.
result<unet_config> parse_unet_config(const boost::json::object& config);

}  // namespace lp::engine
