// SPDX-License-Identifier: MIT
#include "pipelines/engine/unet.hpp"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/util/Exception.h>

#include "pipelines/engine/tensor_memory.hpp"

namespace lp::engine {

namespace {

resnet_block::options resnet_options(const unet_config& c, std::int64_t in, std::int64_t out) {
  return {in, out, c.time_embed_dim(), c.norm_num_groups, c.norm_eps};
}

spatial_transformer::options transformer_options(const unet_config& c, const unet_level& l,
                                                 bool only_cross) {
  return {l.channels,        l.cross_attention_dim,   l.heads,   l.transformer_layers,
          c.norm_num_groups, c.use_linear_projection, only_cross};
}

}  // namespace

std::vector<at::Tensor> unet_input::tensors() const {
  return {sample,      timestep, encoder_hidden_states, timestep_cond, class_labels,
          text_embeds, time_ids};
}

unet_input unet_input::of(const std::vector<at::Tensor>& t) {
  return {t.at(0), t.at(1), t.at(2), t.at(3), t.at(4), t.at(5), t.at(6)};
}

unet::unet(const unet_config& config, const scope& at)
    : config_(config),
      embeddings_(config, at),
      conv_in_(at / "conv_in", config.in_channels, config.levels.front().channels),
      norm_out_(at / "conv_norm_out", config.norm_num_groups, config.levels.front().channels,
                config.norm_eps),
      conv_out_(at / "conv_out", config.levels.front().channels, config.out_channels) {
  build_down(at / "down_blocks");
  if (config.mid_block) build_mid(at / "mid_block");
  build_up(at / "up_blocks");
}

void unet::build_down(const scope& at) {
  auto in = config_.levels.front().channels;
  for (std::size_t i = 0; i < config_.levels.size(); ++i) {
    const auto& l = config_.levels[i];
    auto& built = down_.emplace_back();
    for (std::int64_t j = 0; j < l.layers; ++j) {
      const auto index = static_cast<std::size_t>(j);
      built.resnets.emplace_back(at / i / "resnets" / index,
                                 resnet_options(config_, in, l.channels));
      in = l.channels;
      if (l.down_attention)
        built.attentions.emplace_back(at / i / "attentions" / index,
                                      transformer_options(config_, l, l.only_cross_attention));
    }
    if (i + 1 < config_.levels.size())
      built.down.emplace(at / i / "downsamplers" / "0", l.channels, false);
  }
}

void unet::build_mid(const scope& at) {
  const auto& l = config_.levels.back();
  auto& built = mid_.emplace();
  for (std::size_t j = 0; j < 2; ++j)
    built.resnets.emplace_back(at / "resnets" / j, resnet_options(config_, l.channels, l.channels));
  built.attentions.emplace_back(at / "attentions" / "0",
                                transformer_options(config_, l, config_.mid_only_cross_attention));
}

void unet::build_up(const scope& at) {
  const auto n = config_.levels.size();
  auto previous = config_.levels.back().channels;
  for (std::size_t i = 0; i < n; ++i) {
    const auto& l = config_.levels[n - 1 - i];
    // The block's last skip comes from the finer level's down-sampler (or from conv_in).
    const auto finer = config_.levels[i + 1 < n ? n - 2 - i : 0].channels;
    auto& built = up_.emplace_back();
    for (std::int64_t j = 0; j <= l.layers; ++j) {
      const auto index = static_cast<std::size_t>(j);
      const auto skip = j == l.layers ? finer : l.channels;
      built.resnets.emplace_back(at / i / "resnets" / index,
                                 resnet_options(config_, previous + skip, l.channels));
      previous = l.channels;
      if (l.up_attention)
        built.attentions.emplace_back(at / i / "attentions" / index,
                                      transformer_options(config_, l, l.only_cross_attention));
    }
    if (i + 1 < n) built.up.emplace(at / i / "upsamplers" / "0", l.channels);
  }
}

void unet::pack() {
  const auto pack_level = [](level& l) {
    for (auto& resnet : l.resnets) resnet.pack();
    if (l.down) l.down->conv.pack();
    if (l.up) l.up->conv.pack();
  };
  conv_in_.pack();
  conv_out_.pack();
  for (auto& l : down_) pack_level(l);
  if (mid_) pack_level(*mid_);
  for (auto& l : up_) pack_level(l);
  trim_tensor_memory();  // of the old order
}

void unet::level::visit(const nn::layer_visitor& visitor) {
  for (std::size_t j = 0; j < resnets.size(); ++j) {
    resnets[j].visit(visitor);
    if (j < attentions.size()) attentions[j].visit(visitor);
  }
  if (down) visitor.on_conv(down->conv);
  if (up) visitor.on_conv(up->conv);
}

void unet::visit(const nn::layer_visitor& visitor) {
  visitor.on_conv(conv_in_);
  visitor.on_linear(embeddings_.time1);
  visitor.on_linear(embeddings_.time2);
  for (auto* layer : {&embeddings_.time_cond, &embeddings_.class1, &embeddings_.class2,
                      &embeddings_.add1, &embeddings_.add2})
    if (*layer) visitor.on_linear(**layer);
  for (auto& l : down_) l.visit(visitor);
  if (mid_) mid_->visit(visitor);
  for (auto& l : up_) l.visit(visitor);
  visitor.on_conv(conv_out_);
}

at::Tensor unet::operator()(const unet_input& in) const {
  TORCH_CHECK(in.sample.dim() == 4 && in.sample.size(1) == config_.in_channels,
              "unet: sample must be [N, ", config_.in_channels, ", h, w], got ", in.sample.sizes());
  const auto time = nn::silu(embeddings_(config_, in)).to(dtype());
  const auto text = in.encoder_hidden_states.to(dtype());
  auto x = in.sample.to(dtype());
  if (config_.center_input_sample) x = 2 * x - 1;
  x = conv_in_(x);
  std::vector<at::Tensor> skips{x};
  x = run_down(std::move(x), time, text, skips);
  if (mid_) {
    x = mid_->resnets[0](x, time);
    x = mid_->attentions[0](x, text);
    x = mid_->resnets[1](x, time);
  }
  x = run_up(std::move(x), time, text, skips);
  return conv_out_(norm_out_(x, nn::activation::silu)).to(in.sample.scalar_type());
}

at::Tensor unet::run_down(at::Tensor x, const at::Tensor& time, const at::Tensor& text,
                          std::vector<at::Tensor>& skips) const {
  for (const auto& l : down_) {
    for (std::size_t j = 0; j < l.resnets.size(); ++j) {
      x = l.resnets[j](x, time);
      if (!l.attentions.empty()) x = l.attentions[j](x, text);
      skips.push_back(x);
    }
    if (l.down) {
      x = (*l.down)(x);
      skips.push_back(x);
    }
  }
  return x;
}

at::Tensor unet::run_up(at::Tensor x, const at::Tensor& time, const at::Tensor& text,
                        std::vector<at::Tensor>& skips) const {
  for (const auto& l : up_) {
    for (std::size_t j = 0; j < l.resnets.size(); ++j) {
      x = at::cat(at::TensorList{x, skips.back()}, 1);
      skips.pop_back();
      x = l.resnets[j](x, time);
      if (!l.attentions.empty()) x = l.attentions[j](x, text);
    }
    // Sides that do not halve evenly: the next skip tells the size to come back to.
    if (l.up) x = (*l.up)(x, skips.back().size(2), skips.back().size(3));
  }
  return x;
}

}  // namespace lp::engine
