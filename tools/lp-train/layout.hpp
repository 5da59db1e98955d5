// SPDX-License-Identifier: MIT
// What the embedded model looks like: its configurations, and the folder that is shipped.
#pragma once

#include <filesystem>
#include <memory>

#include <boost/json/object.hpp>

#include "pipelines/engine/autoencoder_kl.hpp"
#include "pipelines/engine/clip_text_encoder.hpp"
#include "pipelines/engine/random_parameters.hpp"
#include "pipelines/engine/unet.hpp"
#include "runtime/base/error.hpp"

namespace lp::train {

inline constexpr int picture_side = 64;
inline constexpr int prompt_tokens = 24;  ///< the longest caption and its two marks, with room
inline constexpr int tokenizer_merges =
    300;  ///< enough that every word of the captions is one token

/// config.json of the components.
boost::json::object vae_config();
boost::json::object unet_config();
boost::json::object text_config(std::int64_t vocabulary);

/// The networks of one stage with fresh weights. Residual branches start at nothing: their last
/// layer is zero, so that signals and gradients pass the whole depth from the first iteration on.
struct vae_networks {
  vae_networks(std::uint64_t seed, at::Device device);

  engine::random_parameters source;
  engine::autoencoder_kl vae;
};

struct diffusion_networks {
  diffusion_networks(std::int64_t vocabulary, std::uint64_t seed, at::Device device);

  /// Both networks' tensors, with the prefixes "text_encoder/" and "unet/".
  engine::named_tensors tensors() const;

  engine::random_parameters text_source;
  engine::random_parameters unet_source;
  engine::clip_text text;
  engine::unet unet;
};

/// Rewrites the two 1x1 convolutions at the latent (quant_conv, post_quant_conv) so that every
/// channel of the latent has mean 0 and a standard deviation near 1 over `latents` [N, C, h, w]
/// while pictures come back unchanged; the encoder's variance becomes `noise`^2 in old units.
void normalise_latent(const engine::named_tensors& weights, const at::Tensor& latents,
                      double noise);

/// Writes a component's folder: config.json and fp16 weights.
result<void> save_component(const std::filesystem::path& folder, const boost::json::object& config,
                            const engine::named_tensors& weights);

/// Writes model_index.json, the scheduler's folder and lp_model.json.
result<void> save_index(const std::filesystem::path& folder);

}  // namespace lp::train
