// SPDX-License-Identifier: MIT
// What the stages that train the autoencoder and its decoder share.
#pragma once

#include <string>
#include <vector>

#include "tools/lp-train/drawing.hpp"
#include "tools/lp-train/parallel.hpp"
#include "tools/lp-train/stages.hpp"

namespace lp::train {

/// A seed for every part of every iteration.
inline std::uint64_t part_seed(std::uint64_t base, std::int64_t iteration, int part) {
  return base + static_cast<std::uint64_t>(iteration * batch_parts + part);
}

/// They hold more edges for the same work than the scenes that prompts speak of.
std::vector<drawing::scene> crowded_scenes(std::uint64_t seed, std::int64_t count);

/// Pictures [N, 3, H, W] -> the means of their latents.
at::Tensor latent_mean(const engine::autoencoder_kl& vae, const at::Tensor& pictures);

/// L1 plus twice the squared error, which weighs edges.
at::Tensor picture_loss(const at::Tensor& seen, const at::Tensor& wanted);

/// Pictures before and after a way through the latent, on a sheet; their likeness and how many the
/// judge still recognises, in a line.
result<void> show_autoencoder(const engine::autoencoder_kl& vae, const options& o,
                              const std::string& stage, std::int64_t iteration);

}  // namespace lp::train
