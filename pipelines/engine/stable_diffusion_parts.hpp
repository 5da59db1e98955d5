// SPDX-License-Identifier: MIT
// What stable_diffusion.cpp loads and drawing.cpp computes with; of no use to others.
#pragma once

#include <memory>
#include <string>

#include <boost/json/object.hpp>

#include "pipelines/engine/autoencoder_kl.hpp"
#include "pipelines/engine/clip_text_encoder.hpp"
#include "pipelines/engine/clip_tokenizer.hpp"
#include "pipelines/engine/schedulers/scheduler.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "pipelines/engine/unet.hpp"

namespace lp::engine {

struct stable_diffusion::parts {
  explicit parts(clip_tokenizer t) : tokenizer(std::move(t)) {}

  clip_tokenizer tokenizer;
  std::unique_ptr<clip_text> text;
  std::unique_ptr<lp::engine::unet> unet;
  std::unique_ptr<autoencoder_kl> vae;
  boost::json::object scheduler_config;
  std::string scheduler_class;
  at::Device device = at::kCPU;
  weight_precision precision = weight_precision::fp32;
  std::uint64_t bytes = 0;

  /// A sampler of its own for each drawing, since samplers have state.
  result<std::unique_ptr<scheduler>> new_scheduler() const {
    return make_scheduler(scheduler_config, scheduler_class);
  }
  /// Networks that take the guidance as an input (latent consistency models) need no second pass.
  bool embeds_guidance() const { return unet->config().time_cond_proj_dim > 0; }
};

struct drawing::state {
  std::shared_ptr<const stable_diffusion> pipeline;
  drawing_request request;
  std::unique_ptr<lp::engine::scheduler> scheduler;
  std::vector<at::Generator> generators;
  at::Tensor prompts;    ///< [prompts, tokens, size]
  at::Tensor negatives;  ///< the same, or undefined
  at::Tensor latents;
  at::Tensor guidance_embedding;  ///< [1, time_cond_proj_dim], or undefined
  std::size_t next = 0;           ///< the next call of the scheduler
};

}  // namespace lp::engine
