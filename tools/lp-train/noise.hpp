// SPDX-License-Identifier: MIT
// The noise schedule that the model is trained with, and the plain sampler that training looks at
// its progress with.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

namespace lp::train {

inline constexpr int train_timesteps = 1000;

/// Cumulative alphas of the "scaled_linear" betas 0.00085..0.012, rescaled so that the last has no
/// signal at all (Lin et al. 2023, "Common diffusion noise schedules and sample steps are flawed",
/// algorithm 1). fp64 [train_timesteps] on the CPU.
at::Tensor cumulative_alphas();

/// A noisy sample and what the network shall say about it: v = sqrt(a) noise - sqrt(1-a) x0
/// (Salimans and Ho 2022).
struct noisy {
  at::Tensor sample;
  at::Tensor target;
};
noisy add_noise(const at::Tensor& clean, const at::Tensor& noise, const at::Tensor& times);

/// Time of step `i` of `steps`, counted back from the last time ("trailing").
std::int64_t ddim_time(int steps, int i);

/// Deterministic DDIM from the sample before step `first`. `predict(sample, t)` gives v.
at::Tensor sample_ddim(at::Tensor sample, int steps, int first,
                       const std::function<at::Tensor(const at::Tensor&, std::int64_t)>& predict);

}  // namespace lp::train
