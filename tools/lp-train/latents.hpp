// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <map>
#include <mutex>
#include <vector>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/autoencoder_kl.hpp"
#include "tools/lp-train/drawing.hpp"
#include "tools/lp-train/stages.hpp"

namespace lp::train {

/// Latents of pictures, each encoded the first time it is asked for: the objects' sizes and places
/// are so few that there are some 24 000 pictures in all. May be used by several threads.
class latent_cache {
 public:
  /// Both must outlive it.
  latent_cache(const engine::autoencoder_kl& vae, const options& o) : vae_(&vae), options_(&o) {}

  /// fp32 [N, C, h, w]
  at::Tensor of(const std::vector<drawing::scene>& scenes);

 private:
  /// All that a picture depends on; a picture of one object leaves the second half empty.
  using key = std::array<double, 11>;
  static key key_of(const drawing::scene& s);

  const engine::autoencoder_kl* vae_;
  const options* options_;
  std::mutex mutex_;
  std::map<key, at::Tensor> known_;
};

}  // namespace lp::train
