// SPDX-License-Identifier: MIT
#include "pipelines/engine/clip_text_encoder.hpp"

#include <algorithm>

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/util/Exception.h>

#include "pipelines/engine/config_reader.hpp"

namespace lp::engine {

namespace {

/// Where the encoder's own tensors lie; transformers 5 writes them without the prefix.
scope root(const scope& at) {
  return at.has("embeddings.token_embedding.weight") ? at : at / "text_model";
}

}  // namespace

result<clip_text_config> parse_clip_text_config(const boost::json::object& config) {
  config_reader in(config, "text_encoder config.json");
  clip_text_config c;
  c.vocab_size = in.integer("vocab_size", c.vocab_size, 1, 1 << 24);
  c.hidden_size = in.integer("hidden_size", 512, 1, 1 << 16);
  c.intermediate_size = in.integer("intermediate_size", 2048, 1, 1 << 18);
  c.num_hidden_layers = in.integer("num_hidden_layers", 12, 1, 256);
  c.num_attention_heads = in.integer("num_attention_heads", 8, 1, 1 << 10);
  c.max_position_embeddings = in.integer("max_position_embeddings", 77, 1, 1 << 16);
  c.projection_dim = in.integer("projection_dim", 512, 0, 1 << 16);
  c.eos_token_id = in.integer("eos_token_id", 49407, 0, 1 << 24);
  c.layer_norm_eps = in.number("layer_norm_eps", 1e-5);
  const auto architectures = in.texts("architectures");
  c.with_projection =
      std::ranges::find(architectures, "CLIPTextModelWithProjection") != architectures.end();
  c.hidden_act = read_hidden_act(in);
  check_heads(in, c.hidden_size, c.num_attention_heads);
  if (c.with_projection && c.projection_dim == 0) in.reject("projection_dim", "at least 1");
  if (auto ok = in.check(); !ok) return fail(ok.error());
  return c;
}

clip_text::clip_text(const clip_text_config& config, const scope& at)
    : config_(config),
      tokens_(root(at) / "embeddings" / "token_embedding", config.vocab_size, config.hidden_size),
      positions_(root(at) / "embeddings" / "position_embedding", config.max_position_embeddings,
                 config.hidden_size),
      final_norm_(root(at) / "final_layer_norm", config.hidden_size, config.layer_norm_eps) {
  const clip_layer_config layer{config.hidden_size,         config.intermediate_size,
                                config.num_attention_heads, config.layer_norm_eps,
                                config.hidden_act,          /*causal=*/true};
  for (std::int64_t i = 0; i < config.num_hidden_layers; ++i)
    layers_.emplace_back(layer, root(at) / "encoder" / "layers" / static_cast<std::size_t>(i));
  if (config.with_projection)
    projection_.emplace(at / "text_projection", config.hidden_size, config.projection_dim, false);
}

clip_text_output clip_text::operator()(const at::Tensor& ids) const {
  TORCH_CHECK(ids.dim() == 2 && ids.size(1) <= config_.max_position_embeddings,
              "clip_text: ids must be [N, up to ", config_.max_position_embeddings, "], got ",
              ids.sizes());
  clip_text_output result;
  auto& states = result.hidden_states;
  states.push_back(tokens_(ids) + positions_.weight.narrow(0, 0, ids.size(1)));
  for (const auto& l : layers_) states.push_back(l(states.back()));
  result.last_hidden_state = final_norm_(states.back());
  result.pooled = pool(result.last_hidden_state, ids);
  if (projection_) result.text_embeds = (*projection_)(result.pooled);
  return result;
}

void clip_text::visit(const nn::layer_visitor& visitor) {
  for (auto& l : layers_) l.visit(visitor);
  if (projection_) visitor.on_linear(*projection_);
}

at::Tensor clip_text::final_norm(const at::Tensor& hidden) const {
  return final_norm_(hidden);
}

at::Tensor clip_text::pool(const at::Tensor& hidden, const at::Tensor& ids) const {
  // Configurations that say 2 predate the fix of that field: there the end of text is the highest
  // id. Otherwise it is the first id that equals eos_token_id.
  const auto at_token = config_.eos_token_id == 2
                            ? ids.argmax(-1)
                            : ids.eq(config_.eos_token_id).to(at::kInt).argmax(-1);
  return hidden.index({at::arange(ids.size(0), ids.options()), at_token});
}

}  // namespace lp::engine
