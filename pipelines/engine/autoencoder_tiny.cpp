// SPDX-License-Identifier: MIT
#include "pipelines/engine/autoencoder_tiny.hpp"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include "pipelines/engine/config_reader.hpp"

namespace lp::engine {

namespace {

constexpr nn::conv2d_options unbiased{.with_bias = false};

void check_channels(config_reader& in, std::string_view key,
                    const std::vector<std::int64_t>& channels, std::size_t blocks) {
  if (channels.empty() || channels.size() > 8 || channels.size() != blocks)
    in.reject(key, "a list of 1 to 8 integers, as many as blocks");
}

}  // namespace

result<autoencoder_tiny_config> parse_autoencoder_tiny_config(const boost::json::object& config) {
  config_reader in(config, "vae config.json");
  autoencoder_tiny_config c;
  if (in.text("_class_name", "AutoencoderTiny") != "AutoencoderTiny")
    in.reject("_class_name", "\"AutoencoderTiny\"");
  c.in_channels = in.integer("in_channels", 3, 1, 256);
  c.out_channels = in.integer("out_channels", 3, 1, 256);
  c.latent_channels = in.integer("latent_channels", 4, 1, 256);
  const auto list = [&](std::string_view key, std::vector<std::int64_t>& into) {
    if (!in.is_unset(key)) into = in.integers(key, 0, 0, 1, 1 << 12);
  };
  list("encoder_block_out_channels", c.encoder_channels);
  list("decoder_block_out_channels", c.decoder_channels);
  list("num_encoder_blocks", c.encoder_blocks);
  list("num_decoder_blocks", c.decoder_blocks);
  check_channels(in, "encoder_block_out_channels", c.encoder_channels, c.encoder_blocks.size());
  check_channels(in, "decoder_block_out_channels", c.decoder_channels, c.decoder_blocks.size());
  if (in.text("act_fn", "relu") != "relu") in.reject("act_fn", "\"relu\"");
  if (in.text("upsample_fn", "nearest") != "nearest") in.reject("upsample_fn", "\"nearest\"");
  if (in.integer("upsampling_scaling_factor", 2) != 2) in.reject("upsampling_scaling_factor", "2");
  c.scaling_factor = in.number("scaling_factor", 1);
  c.shift_factor = in.number("shift_factor", 0);
  if (c.scaling_factor == 0) in.reject("scaling_factor", "other than 0");
  if (auto ok = in.check(); !ok) return fail(ok.error());
  return c;
}

autoencoder_tiny::block::block(const scope& at, std::int64_t in, std::int64_t out)
    : conv0(at / "conv" / "0", in, out),
      conv2(at / "conv" / "2", out, out),
      conv4(at / "conv" / "4", out, out) {
  if (in != out)
    skip.emplace(at / "skip", in, out,
                 nn::conv2d_options{.kernel = 1, .padding = 0, .with_bias = false});
}

at::Tensor autoencoder_tiny::block::operator()(const at::Tensor& x) const {
  const auto h = conv4(at::relu(conv2(at::relu(conv0(x)))));
  return at::relu(h + (skip ? (*skip)(x) : x));
}

at::Tensor autoencoder_tiny::layer::operator()(const at::Tensor& x) const {
  if (conv) return (*conv)(x);
  if (residual) return (*residual)(x);
  if (relu) return at::relu(x);
  if (doubles) return at::upsample_nearest2d(x, at::IntArrayRef{x.size(2) * 2, x.size(3) * 2});
  return x;
}

autoencoder_tiny::autoencoder_tiny(const autoencoder_tiny_config& config, const scope& at)
    : config_(config) {
  const auto decoder = at / "decoder" / "layers";
  const bool alone =
      (decoder / "0").has("weight") && !(at / "encoder" / "layers" / "0").has("weight");
  if (!alone) build_encoder(at / "encoder" / "layers");
  build_decoder(decoder);
}

void autoencoder_tiny::build_encoder(const scope& at) {
  auto in = config_.in_channels;
  const auto here = [&] { return at / encoder_.size(); };
  for (std::size_t i = 0; i < config_.encoder_blocks.size(); ++i) {
    const auto out = config_.encoder_channels[i];
    const auto place = here();
    auto& first = encoder_.emplace_back();
    if (i == 0) {
      first.conv.emplace(place, in, out);
    } else {
      first.conv.emplace(place, in, out, nn::conv2d_options{.stride = 2, .with_bias = false});
    }
    for (std::int64_t j = 0; j < config_.encoder_blocks[i]; ++j) {
      const auto next = here();
      encoder_.emplace_back().residual.emplace(next, out, out);
    }
    in = out;
  }
  const auto last = here();
  encoder_.emplace_back().conv.emplace(last, in, config_.latent_channels);
}

void autoencoder_tiny::build_decoder(const scope& at) {
  const auto here = [&] { return at / decoder_.size(); };
  auto place = here();
  decoder_.emplace_back().conv.emplace(place, config_.latent_channels,
                                       config_.decoder_channels.front());
  decoder_.emplace_back().relu = true;
  for (std::size_t i = 0; i < config_.decoder_blocks.size(); ++i) {
    const bool last = i + 1 == config_.decoder_blocks.size();
    const auto channels = config_.decoder_channels[i];
    for (std::int64_t j = 0; j < config_.decoder_blocks[i]; ++j) {
      place = here();
      decoder_.emplace_back().residual.emplace(place, channels, channels);
    }
    if (!last) decoder_.emplace_back().doubles = true;
    place = here();
    decoder_.emplace_back().conv.emplace(place, channels, last ? config_.out_channels : channels,
                                         last ? nn::conv2d_options{} : unbiased);
  }
}

at::Tensor autoencoder_tiny::encode(const at::Tensor& picture) const {
  // The network was trained on pictures in [0, 1].
  auto x = (picture + 1) / 2;
  for (const auto& l : encoder_) x = l(x);
  return x;
}

at::Tensor autoencoder_tiny::decode(const at::Tensor& latents) const {
  // A soft clamp of latents that training never saw.
  auto x = at::tanh(latents / 3) * 3;
  for (const auto& l : decoder_) x = l(x);
  return x * 2 - 1;
}

}  // namespace lp::engine
