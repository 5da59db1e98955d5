// SPDX-License-Identifier: MIT
#include "pipelines/engine/resnet.hpp"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

namespace lp::engine {

resnet_block::resnet_block(const scope& at, const options& o)
    : norm1(at / "norm1", o.groups, o.in, o.eps),
      conv1(at / "conv1", o.in, o.out),
      norm2(at / "norm2", o.groups, o.out, o.eps),
      conv2(at / "conv2", o.out, o.out) {
  if (o.time_embed_dim != 0) time_emb_proj.emplace(at / "time_emb_proj", o.time_embed_dim, o.out);
  if (o.in != o.out)
    conv_shortcut.emplace(at / "conv_shortcut", o.in, o.out,
                          nn::conv2d_options{.kernel = 1, .padding = 0});
}

at::Tensor resnet_block::operator()(const at::Tensor& x, const at::Tensor& time_silu) const {
  auto h = conv1(norm1(x, nn::activation::silu));
  if (time_emb_proj)
    h = nn::add_to(std::move(h), (*time_emb_proj)(time_silu).unsqueeze(-1).unsqueeze(-1));
  h = conv2(norm2(h, nn::activation::silu));
  return nn::add_to(std::move(h), conv_shortcut ? (*conv_shortcut)(x) : x);
}

void resnet_block::pack() {
  conv1.pack();
  conv2.pack();
  if (conv_shortcut) conv_shortcut->pack();
}

void resnet_block::visit(const nn::layer_visitor& visitor) {
  visitor.on_conv(conv1);
  if (time_emb_proj) visitor.on_linear(*time_emb_proj);
  visitor.on_conv(conv2);
  if (conv_shortcut) visitor.on_conv(*conv_shortcut);
}

downsample::downsample(const scope& at, std::int64_t channels, bool pad_right_below)
    : conv(at / "conv", channels, channels,
           nn::conv2d_options{.stride = 2, .padding = pad_right_below ? 0 : 1}),
      asymmetric(pad_right_below) {}

at::Tensor downsample::operator()(const at::Tensor& x) const {
  return conv(asymmetric ? at::constant_pad_nd(x, {0, 1, 0, 1}) : x);
}

upsample::upsample(const scope& at, std::int64_t channels)
    : conv(at / "conv", channels, channels) {}

at::Tensor upsample::operator()(const at::Tensor& x, std::int64_t height,
                                std::int64_t width) const {
  if (height == 0) height = x.size(2) * 2;
  if (width == 0) width = x.size(3) * 2;
  return conv(at::upsample_nearest2d(x, at::IntArrayRef{height, width}));
}

}  // namespace lp::engine
