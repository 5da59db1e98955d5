// SPDX-License-Identifier: MIT
#include "pipelines/engine/clip_layer.hpp"

#include <utility>

#include "pipelines/engine/attention.hpp"
#include "pipelines/engine/config_reader.hpp"

namespace lp::engine {

nn::activation read_hidden_act(config_reader& in) {
  const auto act = nn::parse_activation(in.text("hidden_act", "quick_gelu"));
  if (act) return *act;
  in.reject("hidden_act", "quick_gelu, gelu, silu or relu");
  return nn::activation::quick_gelu;
}

void check_heads(config_reader& in, std::int64_t hidden_size, std::int64_t heads) {
  if (hidden_size % heads != 0) in.reject("num_attention_heads", "a divisor of hidden_size");
}

clip_layer::clip_layer(const clip_layer_config& c, const scope& at)
    : norm1(at / "layer_norm1", c.hidden_size, c.layer_norm_eps),
      q(at / "self_attn" / "q_proj", c.hidden_size, c.hidden_size),
      k(at / "self_attn" / "k_proj", c.hidden_size, c.hidden_size),
      v(at / "self_attn" / "v_proj", c.hidden_size, c.hidden_size),
      out(at / "self_attn" / "out_proj", c.hidden_size, c.hidden_size),
      norm2(at / "layer_norm2", c.hidden_size, c.layer_norm_eps),
      fc1(at / "mlp" / "fc1", c.hidden_size, c.intermediate_size),
      fc2(at / "mlp" / "fc2", c.intermediate_size, c.hidden_size),
      heads(c.num_attention_heads),
      act(c.hidden_act),
      causal(c.causal) {}

at::Tensor clip_layer::operator()(const at::Tensor& x) const {
  const auto normed = norm1(x);
  auto h = out(attention(q(normed), k(normed), v(normed), heads, causal));
  h = nn::add_to(std::move(h), x);
  auto y = fc2(nn::activate(fc1(norm2(h)), act));
  return nn::add_to(std::move(y), h);
}

void clip_layer::visit(const nn::layer_visitor& visitor) {
  for (auto* linear : {&q, &k, &v, &out, &fc1, &fc2}) visitor.on_linear(*linear);
}

}  // namespace lp::engine
