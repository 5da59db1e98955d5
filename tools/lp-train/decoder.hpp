// SPDX-License-Identifier: MIT
// The autoencoder's decoder goes on alone: what stages decoder and finish share. The encoder stays
// as it is, and with it the latents.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/autoencoder_kl.hpp"
#include "pipelines/engine/random_parameters.hpp"
#include "tools/lp-train/stages.hpp"

namespace lp::train {

/// The autoencoder of the folder; its decoder's weights record gradients.
struct decoder {
  engine::named_tensors all;
  engine::named_tensors trained;
  std::unique_ptr<engine::autoencoder_kl> vae;
};

result<decoder> open_decoder(const options& o);

/// Runs a stage of that name. Rewrites vae/.
result<outcome> run_decoder_stage(const decoder& d, const std::string& name,
                                  std::int64_t iterations, double rate,
                                  const std::function<at::Tensor(std::int64_t, int)>& loss,
                                  const options& o);

/// Latents with noise of the variance that the encoder says. Without gradients.
at::Tensor sample_latents(const engine::autoencoder_kl& vae, const at::Tensor& pictures,
                          std::uint64_t seed);

}  // namespace lp::train
