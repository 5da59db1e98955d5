// SPDX-License-Identifier: MIT
// What stable_diffusion.cpp loads and drawing.cpp computes with; of no use to others.
#pragma once

#include <algorithm>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

#include "pipelines/engine/autoencoder_kl.hpp"
#include "pipelines/engine/autoencoder_tiny.hpp"
#include "pipelines/engine/clip_text_encoder.hpp"
#include "pipelines/engine/clip_tokenizer.hpp"
#include "pipelines/engine/cuda/recorded_calls.hpp"
#include "pipelines/engine/part.hpp"
#include "pipelines/engine/schedulers/scheduler.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "pipelines/engine/unet.hpp"

namespace lp::engine {

/// Above this many pixels the autoencoder works on tiles.
inline constexpr std::int64_t untiled_pixels = std::int64_t{1} << 20;

/// Latent positions a UNet call takes at most, to bound its memory and its time: eight of 64x64
/// (four guided pictures of 512x512), or one of any size.
inline constexpr std::int64_t positions_a_call = 8 * 64 * 64;
/// The same on a GPU, which takes more at once to be busy.
inline constexpr std::int64_t positions_a_call_on_gpu = 4 * positions_a_call;

/// What low-rank additions take.
struct adapter_sizes {
  std::uint64_t bytes = 0;
  std::int64_t rank = 0;  ///< the highest among those to convolutions
};

/// Everything is shared: a variant with low-rank additions is a copy with other layers.
struct stable_diffusion::parts {
  std::vector<clip_tokenizer> tokenizers;  ///< one, or two for SDXL
  std::vector<part<clip_text>> texts;      ///< as many
  std::shared_ptr<const lp::engine::unet> unet;
  part<autoencoder_kl> vae;     ///< or, where the folder has it instead,
  part<autoencoder_tiny> tiny;  ///< this one; both: this one for previews
  /// Set while the UNet's weights are converted and put into the order in which it computes, on a
  /// thread of its own: prompts can be encoded meanwhile. The UNet's layers are not to be touched
  /// before.
  std::shared_future<void> packing;
  /// On GPUs: the UNet's calls as they were recorded. A variant has its own.
  std::shared_ptr<recorded_calls> calls;
  boost::json::object scheduler_config;
  std::string scheduler_class;
  boost::json::object low_res_scheduler;  ///< upscaling: how noise gets onto the small picture
  diffusion_kind kind = diffusion_kind::drawing;
  bool zeros_for_no_negative = false;  ///< SDXL's force_zeros_for_empty_prompt
  double scaling_factor = 1;           ///< latents over what the autoencoder gives
  at::Device device = at::kCPU;
  weight_precision precision = weight_precision::fp32;
  std::uint64_t bytes = 0;           ///< of what is always in memory
  std::uint64_t largest_absent = 0;  ///< of the largest part that is there only while it is used
  adapter_sizes adapters;            ///< held by this variant; among `bytes`
  /// What a person should know of how it was loaded: assumptions, and what was left out.
  std::vector<std::string> notes;

  /// What a file's additions would take here.
  adapter_sizes adapters_of(const lora_file& file) const;

  /// A sampler of its own for each drawing, since samplers have state; `name` as for
  /// choose_scheduler(), empty for the model's.
  result<std::unique_ptr<scheduler>> new_scheduler(const std::string& name = {}) const;

  /// Networks that take the guidance as an input (latent consistency models) need no second pass.
  bool embeds_guidance() const { return unet->config().time_cond_proj_dim > 0; }
  /// The UNet, ready to compute. Throws what kept its weights from being read.
  const lp::engine::unet& ready_unet() const {
    if (packing.valid()) packing.get();
    return *unet;
  }
  /// A call of the UNet; `as_it_is` computes it without recording it.
  at::Tensor call_unet(const unet_input& in, bool as_it_is) const;
  /// Rows of a call at most, for latents of so many positions.
  std::int64_t rows_a_call(std::int64_t positions) const {
    const auto most = device.is_cuda() ? positions_a_call_on_gpu : positions_a_call;
    return std::max<std::int64_t>(1, most / std::max<std::int64_t>(1, positions));
  }
  bool is_xl() const { return unet->config().text_time; }
  std::int64_t latent_channels() const;
  std::int64_t scale() const;

  /// Makes it ready for calls from other threads; to be called once its networks are there.
  void finish_loading(bool low_memory);

  /// What follows takes tensors of the device and gives such.
  /// pictures [n, 3, H, W] in [-1, 1] -> moments [n, 2c, h, w], or latents [n, c, h, w] with a tiny
  /// autoencoder. Not scaled.
  at::Tensor encode(const at::Tensor& pictures, bool tiled = false) const;
  /// One scaled latent a generator, drawn from the posterior of one picture's encode().
  at::Tensor sample_latents(const at::Tensor& encoded,
                            std::vector<at::Generator>& generators) const;
  /// The most likely latents of a picture's encode(), not scaled.
  at::Tensor likely_latents(const at::Tensor& encoded) const;
  /// Scaled latents [1, c, h, w] -> [1, 3, H, W] in about [-1, 1], on the device.
  at::Tensor decode_raw(const at::Tensor& latents, bool tiled = false) const;
  /// The same in [0, 1], fp32 on the CPU.
  at::Tensor decode(const at::Tensor& latents, bool tiled = false) const;
};

/// What a UNet beside an autoencoder of so many channels was made for; ec::bad_file if for nothing
/// known.
result<diffusion_kind> kind_of_network(const unet_config& unet, std::int64_t latent_channels);

/// One of the predictions that guidance mixes: what conditions it, one row a picture.
struct guidance_pass {
  at::Tensor text;      ///< [pictures, tokens, size]
  at::Tensor pooled{};  ///< SDXL: [pictures, size]
  at::Tensor sizes{};   ///< SDXL: [pictures, 6]
  at::Tensor extra{};   ///< further input channels [pictures, c, h, w]
};

/// What conditions the rows of a call, all on the device.
struct gathered_conditions {
  /// The drawings' serial numbers and their pictures'.
  std::vector<std::pair<std::uint64_t, std::int64_t>> of;
  unet_input in;     ///< without sample and time
  at::Tensor extra;  ///< further channels of the sample, or undefined
};

/// All tensors lie on the pipeline's device from start() on, and only pictures leave it.
struct drawing::state {
  std::shared_ptr<const stable_diffusion> pipeline;
  drawing_request request;
  std::unique_ptr<lp::engine::scheduler> scheduler;
  std::vector<at::Generator> generators;
  at::Tensor prompts;    ///< [prompts, tokens, size]
  at::Tensor negatives;  ///< the same, or undefined
  at::Tensor pooled, pooled_negatives;
  /// Unguided: one. Guided: negative, prompt. Editing: prompt with picture, picture alone, neither.
  std::vector<guidance_pass> passes;
  at::Tensor latents;
  at::Tensor times;               ///< those of the scheduler, fp32
  at::Tensor guidance_embedding;  ///< [1, time_cond_proj_dim], or undefined
  at::Tensor labels;              ///< upscaling: the noise level [1]
  std::size_t first = 0;          ///< the first call of the scheduler
  std::size_t next = 0;           ///< the next one

  /// A mask without a network for it: outside, each step puts the picture's own latents back.
  at::Tensor kept, kept_noise, mask;

  std::vector<std::string> notes;  ///< see drawing::notes()

  std::uint64_t serial = 0;  ///< no other drawing of the process has it
  /// Of the calls that began with a picture of this drawing, by its number.
  std::map<std::int64_t, gathered_conditions> gathered;
};

}  // namespace lp::engine
