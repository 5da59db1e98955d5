// SPDX-License-Identifier: MIT
// CLIP's text encoder (CLIPTextModel and CLIPTextModelWithProjection of Hugging Face's layout).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>
#include <boost/json/fwd.hpp>

#include "pipelines/engine/clip_layer.hpp"
#include "pipelines/engine/nn.hpp"

namespace lp::engine {

struct clip_text_config {
  std::int64_t vocab_size = 49408;
  std::int64_t hidden_size = 768;
  std::int64_t intermediate_size = 3072;
  std::int64_t num_hidden_layers = 12;
  std::int64_t num_attention_heads = 12;
  std::int64_t max_position_embeddings = 77;
  std::int64_t projection_dim = 768;
  std::int64_t eos_token_id = 2;
  double layer_norm_eps = 1e-5;
  nn::activation hidden_act = nn::activation::quick_gelu;
  bool with_projection = false;  ///< "architectures" names CLIPTextModelWithProjection

  bool operator==(const clip_text_config&) const = default;
};

/// From a text encoder's config.json; ec::bad_file names the wrong field.
result<clip_text_config> parse_clip_text_config(const boost::json::object& config);

struct clip_text_output {
  at::Tensor last_hidden_state;  ///< [N, tokens, hidden], after the final norm
  at::Tensor pooled;             ///< [N, hidden]: last_hidden_state at the end-of-text token
  at::Tensor text_embeds;        ///< [N, projection_dim]; undefined without a projection
  /// The embeddings and every layer's output before the final norm (num_hidden_layers + 1 of
  /// them); what clip skip and SDXL choose from.
  std::vector<at::Tensor> hidden_states;
};

/// Accepts names with and without the leading "text_model."; made-up weights get it.
class clip_text {
 public:
  clip_text(const clip_text_config& config, const scope& at);

  /// ids: int64 [N, tokens], tokens <= max_position_embeddings.
  clip_text_output operator()(const at::Tensor& ids) const;

  /// `hidden` (one of hidden_states) through the final norm: clip skip conditions SD 1.x/2.x on it.
  at::Tensor final_norm(const at::Tensor& hidden) const;

  const clip_text_config& config() const { return config_; }

  /// Shows every linear layer in order, as unet::visit().
  void visit(const nn::layer_visitor& visitor);

 private:
  at::Tensor pool(const at::Tensor& hidden, const at::Tensor& ids) const;

  clip_text_config config_;
  nn::embedding tokens_;
  nn::embedding positions_;
  std::vector<clip_layer> layers_;
  nn::layer_norm final_norm_;
  std::optional<nn::linear> projection_;
};

}  // namespace lp::engine
