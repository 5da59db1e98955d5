// SPDX-License-Identifier: MIT
#include "pipelines/engine/autoencoder_kl.hpp"

#include <string_view>

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include "pipelines/engine/attention.hpp"
#include "pipelines/engine/autoencoder_stripes.hpp"
#include "pipelines/engine/config_reader.hpp"

namespace lp::engine {

namespace {

constexpr double eps = 1e-6;

resnet_block::options block(const autoencoder_kl_config& c, std::int64_t in, std::int64_t out) {
  return {in, out, 0, c.norm_num_groups, eps};
}

void check_blocks(config_reader& in, std::string_view key, std::size_t count,
                  std::string_view only) {
  const auto types = in.texts(key);
  if (types.size() != count)
    in.reject(key, fmt::format("a list of {} blocks, as block_out_channels has", count));
  for (const auto& type : types)
    if (type != only) in.reject(key, fmt::format("made of \"{}\"", only));
}

constexpr nn::conv2d_options pointwise{.kernel = 1, .padding = 0};

/// Latents and pixels go through as they are: on the CPU the first and the last convolutions, which
/// are small, compute in fp32 whatever the others do.
nn::conv2d precise(nn::conv2d conv) {
  if (!conv.weight.is_cpu() || conv.weight.scalar_type() != at::kBFloat16) return conv;
  conv.weight = conv.weight.to(at::kFloat);
  conv.bias = conv.bias.to(at::kFloat);
  return conv;
}

}  // namespace

result<autoencoder_kl_config> parse_autoencoder_kl_config(const boost::json::object& config) {
  config_reader in(config, "vae config.json");
  autoencoder_kl_config c;
  if (in.text("_class_name", "AutoencoderKL") != "AutoencoderKL")
    in.reject("_class_name", "\"AutoencoderKL\"");
  c.in_channels = in.integer("in_channels", 3, 1, 256);
  c.out_channels = in.integer("out_channels", 3, 1, 256);
  c.latent_channels = in.integer("latent_channels", 4, 1, 256);
  c.layers_per_block = in.integer("layers_per_block", 1, 1, 64);
  c.norm_num_groups = in.integer("norm_num_groups", 32, 1, 1 << 14);
  c.sample_size = in.integer("sample_size", 32, 1);
  c.scaling_factor = in.number("scaling_factor", 0.18215);
  c.shift_factor = in.number("shift_factor", 0);
  c.mid_block_add_attention = in.boolean("mid_block_add_attention", true);
  c.use_quant_conv = in.boolean("use_quant_conv", true);
  c.use_post_quant_conv = in.boolean("use_post_quant_conv", true);
  c.block_out_channels = in.integers("block_out_channels", 0, 0, 1, 1 << 14);
  const auto n = c.block_out_channels.size();
  if (n == 0 || n > 16) in.reject("block_out_channels", "a list of 1 to 16 integers");
  for (const auto channels : c.block_out_channels)
    if (channels % c.norm_num_groups != 0)
      in.reject("block_out_channels", fmt::format("multiples of {} groups", c.norm_num_groups));
  check_blocks(in, "down_block_types", n, "DownEncoderBlock2D");
  check_blocks(in, "up_block_types", n, "UpDecoderBlock2D");
  const auto act = in.text("act_fn", "silu");
  if (act != "silu" && act != "swish") in.reject("act_fn", "\"silu\"");
  if (c.scaling_factor == 0) in.reject("scaling_factor", "other than 0");
  if (auto ok = in.check(); !ok) return fail(ok.error());
  return c;
}

latent_distribution latent_distribution::from_moments(const at::Tensor& moments) {
  const auto halves = moments.chunk(2, 1);
  return {halves[0], at::exp(0.5 * at::clamp(halves[1], -30.0, 20.0))};
}

at::Tensor latent_distribution::sample(at::Generator generator) const {
  const auto noise = at::randn(mean.sizes(), std::move(generator), at::TensorOptions(at::kFloat));
  return mean + std * noise.to(mean.options());
}

autoencoder_attention::autoencoder_attention(const scope& at, std::int64_t channels,
                                             std::int64_t groups)
    : norm(at / "group_norm", groups, channels, eps),
      q(at / (at.has("query.weight") ? "query" : "to_q"), channels, channels),
      k(at / (at.has("key.weight") ? "key" : "to_k"), channels, channels),
      v(at / (at.has("value.weight") ? "value" : "to_v"), channels, channels),
      out(at.has("proj_attn.weight") ? at / "proj_attn" : at / "to_out" / "0", channels, channels) {
}

at::Tensor autoencoder_attention::operator()(const at::Tensor& x) const {
  const auto h = norm(x).flatten(2).transpose(1, 2);
  const auto y = out(attention(q(h), k(h), v(h), 1));
  return nn::add_to(y.transpose(1, 2).reshape(x.sizes()), x);
}

autoencoder_kl::middle::middle(const autoencoder_kl_config& c, const scope& at)
    : resnet0(at / "resnets" / "0",
              block(c, c.block_out_channels.back(), c.block_out_channels.back())),
      resnet1(at / "resnets" / "1",
              block(c, c.block_out_channels.back(), c.block_out_channels.back())) {
  if (c.mid_block_add_attention)
    attention.emplace(at / "attentions" / "0", c.block_out_channels.back(), c.norm_num_groups);
}

at::Tensor autoencoder_kl::middle::operator()(const at::Tensor& x) const {
  auto h = stripes::residual(resnet0, x);
  if (attention) h = (*attention)(h);
  return stripes::residual(resnet1, h);
}

autoencoder_kl::encoder::encoder(const autoencoder_kl_config& c, const scope& at)
    : conv_in(precise(nn::conv2d(at / "conv_in", c.in_channels, c.block_out_channels.front()))),
      mid(c, at / "mid_block"),
      norm_out(at / "conv_norm_out", c.norm_num_groups, c.block_out_channels.back(), eps),
      conv_out(precise(
          nn::conv2d(at / "conv_out", c.block_out_channels.back(), 2 * c.latent_channels))) {
  auto in = c.block_out_channels.front();
  for (std::size_t i = 0; i < c.block_out_channels.size(); ++i) {
    const auto blocks = at / "down_blocks" / i;
    auto& built = levels.emplace_back();
    for (std::int64_t j = 0; j < c.layers_per_block; ++j) {
      built.resnets.emplace_back(blocks / "resnets" / static_cast<std::size_t>(j),
                                 block(c, in, c.block_out_channels[i]));
      in = c.block_out_channels[i];
    }
    if (i + 1 < c.block_out_channels.size())
      built.down.emplace(blocks / "downsamplers" / "0", in, true);
  }
}

at::Tensor autoencoder_kl::encoder::operator()(const at::Tensor& picture) const {
  auto x = stripes::convolve(conv_in, picture);
  for (const auto& l : levels) {
    for (const auto& resnet : l.resnets) x = stripes::residual(resnet, x);
    if (l.down) x = stripes::halve_size(*l.down, x);
  }
  return stripes::convolve(norm_out, conv_out, mid(x));
}

autoencoder_kl::decoder::decoder(const autoencoder_kl_config& c, const scope& at)
    : conv_in(precise(nn::conv2d(at / "conv_in", c.latent_channels, c.block_out_channels.back()))),
      mid(c, at / "mid_block"),
      norm_out(at / "conv_norm_out", c.norm_num_groups, c.block_out_channels.front(), eps),
      conv_out(precise(nn::conv2d(at / "conv_out", c.block_out_channels.front(), c.out_channels))) {
  const auto n = c.block_out_channels.size();
  auto in = c.block_out_channels.back();
  for (std::size_t i = 0; i < n; ++i) {
    const auto blocks = at / "up_blocks" / i;
    auto& built = levels.emplace_back();
    for (std::int64_t j = 0; j <= c.layers_per_block; ++j) {
      built.resnets.emplace_back(blocks / "resnets" / static_cast<std::size_t>(j),
                                 block(c, in, c.block_out_channels[n - 1 - i]));
      in = c.block_out_channels[n - 1 - i];
    }
    if (i + 1 < n) built.up.emplace(blocks / "upsamplers" / "0", in);
  }
}

at::Tensor autoencoder_kl::decoder::operator()(const at::Tensor& latents) const {
  auto x = mid(conv_in(latents));
  for (const auto& l : levels) {
    for (const auto& resnet : l.resnets) x = stripes::residual(resnet, x);
    if (l.up) x = stripes::double_size(*l.up, x);
  }
  return stripes::convolve(norm_out, conv_out, x);
}

autoencoder_kl::autoencoder_kl(const autoencoder_kl_config& config, const scope& at)
    : config_(config), encoder_(config, at / "encoder"), decoder_(config, at / "decoder") {
  const auto latent = config.latent_channels;
  if (config.use_quant_conv)
    quant_conv_ = precise(nn::conv2d(at / "quant_conv", 2 * latent, 2 * latent, pointwise));
  if (config.use_post_quant_conv)
    post_quant_conv_ = precise(nn::conv2d(at / "post_quant_conv", latent, latent, pointwise));
}

at::ScalarType autoencoder_kl::plane_type() const {
  return decoder_.conv_in.weight.is_cpu() ? at::kFloat : dtype();
}

at::Tensor autoencoder_kl::encode(const at::Tensor& picture) const {
  auto moments = encoder_(picture.to(plane_type()));
  if (quant_conv_) moments = (*quant_conv_)(moments);
  return moments.to(picture.scalar_type());
}

at::Tensor autoencoder_kl::decode(const at::Tensor& latents) const {
  auto z = latents.to(plane_type());
  if (post_quant_conv_) z = (*post_quant_conv_)(z);
  return decoder_(z).to(latents.scalar_type());
}

}  // namespace lp::engine
