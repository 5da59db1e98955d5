// SPDX-License-Identifier: MIT
// The stages of training. Each goes on from its newest checkpoint in the work folder, and
// leaves its component in the model folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <ATen/core/Tensor.h>

#include "runtime/base/error.hpp"
#include "tools/lp-train/layout.hpp"

namespace lp::train {

struct options {
  std::filesystem::path model = "examples/models/shapes-64";  ///< the folder that is written
  std::filesystem::path work = "build/lp-train";              ///< checkpoints and sample sheets
  at::Device device = at::kCPU;
  int threads = 2;
  std::uint64_t seed = 1;
  std::int64_t vae_iterations = 2200;
  std::int64_t decoder_iterations = 1600;
  std::int64_t diffusion_iterations = 12000;
  std::int64_t finish_iterations = 2000;
  std::int64_t vae_batch = 12;
  std::int64_t diffusion_batch = 32;
  double vae_rate = 2e-3;
  double diffusion_rate = 1.5e-3;
  double finish_rate = 1e-3;
  std::int64_t drawn = 4096;  ///< latents that the UNet draws for the last stage
  double minutes = 0;         ///< a stage stops after so long, with a checkpoint; 0: never
  std::int64_t every = 1000;  ///< iterations between checkpoints with a sample sheet
  bool bfloat16 = false;      ///< products in bf16, weights and sums in fp32
};

/// How a stage went.
struct outcome {
  std::int64_t iterations = 0;  ///< done by this call
  double first_loss = 0;        ///< mean of the first five of them
  double last_loss = 0;         ///< mean of the last five
};

/// Pictures to latents and back. Writes vae/.
result<outcome> train_vae(const options& o);

/// The decoder alone, on the latents of the finished autoencoder, whose encoder and latents stay as
/// they are. Rewrites vae/.
result<outcome> train_decoder(const options& o);

/// Text encoder and UNet together, on the latents of the finished autoencoder. Writes tokenizer/,
/// text_encoder/, unet/, scheduler/, model_index.json and lp_model.json.
result<outcome> train_diffusion(const options& o);

/// The decoder alone once more, on latents that the finished UNet draws. Rewrites vae/.
result<outcome> finish_decoder(const options& o);

struct evaluation {
  int count = 200;           ///< prompts of each kind
  std::string kind = "all";  ///< single, training, pairs, edits
  std::uint64_t seed = 100;
  int steps = 20;
  double guidance = 2;
};

/// Share of prompts whose picture is right, as judged, printed in parts; reads the finished folder.
result<void> evaluate(const options& o, const evaluation& e);

}  // namespace lp::train
