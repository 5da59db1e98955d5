// SPDX-License-Identifier: MIT
// CLIP's picture encoder (CLIPVisionModelWithProjection of Hugging Face's layout): a vision
// transformer (arXiv 2010.11929) whose class token stands for the picture.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>
#include <boost/json/fwd.hpp>

#include "pipelines/engine/clip_layer.hpp"
#include "pipelines/engine/nn.hpp"

namespace lp::engine {

struct clip_vision_config {
  std::int64_t hidden_size = 768;
  std::int64_t intermediate_size = 3072;
  std::int64_t num_hidden_layers = 12;
  std::int64_t num_attention_heads = 12;
  std::int64_t num_channels = 3;
  std::int64_t image_size = 224;  ///< pixels, both sides
  std::int64_t patch_size = 32;   ///< pixels, both sides
  std::int64_t projection_dim = 512;
  double layer_norm_eps = 1e-5;
  nn::activation hidden_act = nn::activation::quick_gelu;

  /// Of a picture; the class token comes on top.
  std::int64_t patches() const { return (image_size / patch_size) * (image_size / patch_size); }
};

/// From a config.json: a vision encoder's own, or one of a whole CLIP model, where the encoder is
/// "vision_config" (members of "vision_config_dict", which old files have beside it, count more)
/// and the projection's size stands outside. Absent members have transformers' defaults;
/// ec::bad_file names the wrong field.
result<clip_vision_config> parse_clip_vision_config(const boost::json::object& config);

struct clip_vision_output {
  at::Tensor last_hidden_state;  ///< [N, 1 + patches, hidden]: the class token is the first
  at::Tensor image_embeds;       ///< [N, projection_dim], not normalised
};

class clip_vision {
 public:
  /// Accepts names with and without the leading "vision_model."; made-up weights get it.
  clip_vision(const clip_vision_config& config, const scope& at);

  /// The encoder's tensors lie in `tower`, the projection in `projection`.
  clip_vision(const clip_vision_config& config, const scope& tower, const scope& projection);

  /// pictures: [N, channels, image_size, image_size], as process_clip_image() makes them.
  clip_vision_output operator()(const at::Tensor& pictures) const;

  const clip_vision_config& config() const { return config_; }

 private:
  clip_vision_config config_;
  nn::conv2d patches_;
  at::Tensor class_token_;
  nn::embedding positions_;
  nn::layer_norm first_norm_;
  std::vector<clip_layer> layers_;
  nn::layer_norm last_norm_;
  nn::linear projection_;
};

}  // namespace lp::engine
