// SPDX-License-Identifier: MIT
#include "pipelines/engine/transformer.hpp"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "pipelines/engine/attention.hpp"

namespace lp::engine {

cross_attention::cross_attention(const scope& at, std::int64_t size, std::int64_t context_size,
                                 std::int64_t head_count)
    : q(at / "to_q", size, size, false),
      k(at / "to_k", context_size, size, false),
      v(at / "to_v", context_size, size, false),
      out(at / "to_out" / "0", size, size),
      heads(head_count) {}

at::Tensor cross_attention::operator()(const at::Tensor& x, const at::Tensor& context) const {
  return out(attention(q(x), k(context), v(context), heads));
}

transformer_block::transformer_block(const scope& at, std::int64_t size, std::int64_t context_size,
                                     std::int64_t heads, bool only_cross)
    : norm1(at / "norm1", size),
      attn1(at / "attn1", size, only_cross ? context_size : size, heads),
      norm2(at / "norm2", size),
      attn2(at / "attn2", size, context_size, heads),
      norm3(at / "norm3", size),
      gate(at / "ff" / "net" / "0" / "proj", size, size * 8),
      down(at / "ff" / "net" / "2", size * 4, size),
      only_cross_attention(only_cross) {}

at::Tensor transformer_block::operator()(at::Tensor x, const at::Tensor& context) const {
  const auto normed = norm1(x);
  x = nn::add_to(std::move(x), attn1(normed, only_cross_attention ? context : normed));
  const auto crossed = attn2(norm2(x), context);
  x = nn::add_to(std::move(x), crossed);
  auto both = gate(norm3(x)).chunk(2, -1);
  const auto opened = nn::activate(both[1], nn::activation::gelu);
  const auto gated = nn::may_overwrite() ? both[0].mul_(opened) : both[0] * opened;
  return nn::add_to(std::move(x), down(gated));
}

namespace {

nn::linear projection(const scope& at, std::int64_t channels, bool linear) {
  return linear ? nn::linear(at, channels, channels)
                : nn::linear::stored_as_conv(at, channels, channels);
}

}  // namespace

spatial_transformer::spatial_transformer(const scope& at, const options& o)
    : norm(at / "norm", o.groups, o.channels, 1e-6),
      proj_in(projection(at / "proj_in", o.channels, o.linear_projection)),
      proj_out(projection(at / "proj_out", o.channels, o.linear_projection)) {
  for (std::int64_t i = 0; i < o.layers; ++i)
    blocks.emplace_back(at / "transformer_blocks" / static_cast<std::size_t>(i), o.channels,
                        o.context_size, o.heads, o.only_cross_attention);
}

void spatial_transformer::visit(const nn::layer_visitor& visitor) {
  visitor.on_linear(proj_in);
  for (auto& block : blocks) {
    for (auto* attention : {&block.attn1, &block.attn2}) {
      for (auto* layer : {&attention->q, &attention->k, &attention->v, &attention->out})
        visitor.on_linear(*layer);
    }
    visitor.on_linear(block.gate);
    visitor.on_linear(block.down);
  }
  visitor.on_linear(proj_out);
}

at::Tensor spatial_transformer::operator()(const at::Tensor& x, const at::Tensor& context) const {
  auto h = proj_in(norm(x).flatten(2).transpose(1, 2));
  for (const auto& block : blocks) h = block(std::move(h), context);
  h = proj_out(h).transpose(1, 2).reshape(x.sizes());
  return h + x;
}

}  // namespace lp::engine
