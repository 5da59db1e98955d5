// SPDX-License-Identifier: MIT
#include "tools/lp-train/latents.hpp"

#include <ATen/ATen.h>

#include "tools/lp-train/autoencoding.hpp"
#include "tools/lp-train/pictures.hpp"
#include "tools/lp-train/precision.hpp"

namespace lp::train {

latent_cache::key latent_cache::key_of(const drawing::scene& s) {
  key k{};
  std::size_t i = 0;
  k[i++] = s.background;
  for (const auto& o : s.objects) {
    for (const double part :
         {static_cast<double>(o.form), static_cast<double>(o.colour), o.x, o.y, o.radius}) {
      k.at(i++) = part;
    }
  }
  return k;
}

at::Tensor latent_cache::of(const std::vector<drawing::scene>& scenes) {
  std::vector<at::Tensor> found(scenes.size());
  std::vector<drawing::scene> missing;
  std::vector<std::size_t> gaps;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < scenes.size(); ++i) {
      const auto at = known_.find(key_of(scenes[i]));
      if (at != known_.end()) {
        found[i] = at->second;
        continue;
      }
      gaps.push_back(i);
      missing.push_back(scenes[i]);
    }
  }
  if (!missing.empty()) {
    const at::NoGradGuard no_grad;
    const bf16_products guard(options_->bfloat16);
    const auto latents = latent_mean(*vae_, to_tensor(missing).to(options_->device)).to(at::kFloat);
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < gaps.size(); ++i) {
      found[gaps[i]] = latents[static_cast<std::int64_t>(i)].clone();
      known_.emplace(key_of(missing[i]), found[gaps[i]]);
    }
  }
  return at::stack(found);
}

}  // namespace lp::train
