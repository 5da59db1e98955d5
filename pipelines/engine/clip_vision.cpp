// SPDX-License-Identifier: MIT
#include "pipelines/engine/clip_vision.hpp"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/util/Exception.h>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "pipelines/engine/config_reader.hpp"

namespace lp::engine {

namespace {

namespace json = boost::json;

/// Where the encoder's own tensors lie; transformers 5 may write them without the prefix.
scope tower_of(const scope& at) {
  return at.has("embeddings.class_embedding") ? at : at / "vision_model";
}

const json::object* object_in(const json::object& config, std::string_view key) {
  const auto* value = config.if_contains(key);
  return value != nullptr ? value->if_object() : nullptr;
}

/// The encoder's members alone, in one object.
json::object flattened(const json::object& config) {
  const auto* inner = object_in(config, "vision_config");
  const auto* older = object_in(config, "vision_config_dict");
  if (inner == nullptr && older == nullptr) return config;
  json::object out;
  if (inner != nullptr) out = *inner;
  if (older != nullptr) {
    for (const auto& [key, value] : *older) out[key] = value;
  }
  const auto* projection = config.if_contains("projection_dim");
  if (projection != nullptr)
    out["projection_dim"] = *projection;
  else
    out.erase("projection_dim");
  return out;
}

}  // namespace

result<clip_vision_config> parse_clip_vision_config(const json::object& config) {
  const auto flat = flattened(config);
  config_reader in(flat, "vision encoder config.json");
  clip_vision_config c;
  c.hidden_size = in.integer("hidden_size", c.hidden_size, 1, 1 << 16);
  c.intermediate_size = in.integer("intermediate_size", c.intermediate_size, 1, 1 << 18);
  c.num_hidden_layers = in.integer("num_hidden_layers", c.num_hidden_layers, 1, 256);
  c.num_attention_heads = in.integer("num_attention_heads", c.num_attention_heads, 1, 1 << 10);
  c.num_channels = in.integer("num_channels", c.num_channels, 3, 3);
  c.image_size = in.integer("image_size", c.image_size, 1, 1 << 12);
  c.patch_size = in.integer("patch_size", c.patch_size, 1, 1 << 12);
  c.projection_dim = in.integer("projection_dim", c.projection_dim, 1, 1 << 16);
  c.layer_norm_eps = in.number("layer_norm_eps", c.layer_norm_eps);
  c.hidden_act = read_hidden_act(in);
  check_heads(in, c.hidden_size, c.num_attention_heads);
  if (c.patch_size > c.image_size) in.reject("patch_size", "at most image_size");
  if (auto ok = in.check(); !ok) return fail(ok.error());
  return c;
}

clip_vision::clip_vision(const clip_vision_config& config, const scope& at)
    : clip_vision(config, tower_of(at), at) {}

clip_vision::clip_vision(const clip_vision_config& c, const scope& tower, const scope& projection)
    : config_(c),
      patches_(tower / "embeddings" / "patch_embedding", c.num_channels, c.hidden_size,
               {.kernel = c.patch_size, .stride = c.patch_size, .padding = 0, .with_bias = false}),
      class_token_((tower / "embeddings").take("class_embedding", {c.hidden_size})),
      positions_(tower / "embeddings" / "position_embedding", c.patches() + 1, c.hidden_size),
      // The name is misspelt in every file.
      first_norm_(tower / "pre_layrnorm", c.hidden_size, c.layer_norm_eps),
      last_norm_(tower / "post_layernorm", c.hidden_size, c.layer_norm_eps),
      projection_(projection / "visual_projection", c.hidden_size, c.projection_dim, false) {
  const clip_layer_config layer{c.hidden_size,    c.intermediate_size, c.num_attention_heads,
                                c.layer_norm_eps, c.hidden_act,        /*causal=*/false};
  for (std::int64_t i = 0; i < c.num_hidden_layers; ++i)
    layers_.emplace_back(layer, tower / "encoder" / "layers" / static_cast<std::size_t>(i));
}

clip_vision_output clip_vision::operator()(const at::Tensor& pictures) const {
  const auto side = config_.image_size;
  TORCH_CHECK(pictures.dim() == 4 && pictures.size(1) == config_.num_channels &&
                  pictures.size(2) == side && pictures.size(3) == side,
              "clip_vision: pictures must be [N, ", config_.num_channels, ", ", side, ", ", side,
              "], got ", pictures.sizes());
  const auto patches = patches_(pictures.to(patches_.weight.scalar_type())).flatten(2);
  const auto first = class_token_.expand({pictures.size(0), 1, -1});
  auto x = first_norm_(at::cat({first, patches.transpose(1, 2)}, 1) + positions_.weight);
  for (const auto& layer : layers_) x = layer(x);
  auto embeds = projection_(last_norm_(x.select(1, 0)));
  return {std::move(x), std::move(embeds)};
}

}  // namespace lp::engine
