// SPDX-License-Identifier: MIT
#include "tools/lp-train/noise.hpp"

#include <cmath>

#include <ATen/ATen.h>

namespace lp::train {

at::Tensor cumulative_alphas() {
  const auto betas =
      at::linspace(std::sqrt(0.00085), std::sqrt(0.012), train_timesteps, at::kDouble).square();
  auto root = at::cumprod(1 - betas, 0).sqrt();
  const double first = root[0].item<double>(), last = root[train_timesteps - 1].item<double>();
  root = (root - last) * (first / (first - last));
  return root.square();
}

namespace {

// The schedule on another device: made once a device would be better, but it is 8 kB.
at::Tensor alphas_at(const at::Tensor& times) {
  static const at::Tensor alphas = cumulative_alphas().to(at::kFloat);
  return alphas.to(times.device()).index_select(0, times).view({-1, 1, 1, 1});
}

}  // namespace

noisy add_noise(const at::Tensor& clean, const at::Tensor& noise, const at::Tensor& times) {
  const auto alpha = alphas_at(times);
  const auto signal = alpha.sqrt(), sigma = (1 - alpha).sqrt();
  return {signal * clean + sigma * noise, signal * noise - sigma * clean};
}

std::int64_t ddim_time(int steps, int i) {
  return std::llround(train_timesteps - i * double(train_timesteps) / steps) - 1;
}

at::Tensor sample_ddim(at::Tensor x, int steps, int first,
                       const std::function<at::Tensor(const at::Tensor&, std::int64_t)>& predict) {
  const auto alphas = cumulative_alphas();
  const auto time = [&](int i) { return ddim_time(steps, i); };
  for (int i = first; i < steps; ++i) {
    const auto t = time(i);
    const double a = alphas[t].item<double>();
    const double next = i + 1 < steps ? alphas[time(i + 1)].item<double>() : 1.0;
    const auto v = predict(x, t);
    const auto clean = std::sqrt(a) * x - std::sqrt(1 - a) * v;
    const auto noise = std::sqrt(a) * v + std::sqrt(1 - a) * x;
    x = std::sqrt(next) * clean + std::sqrt(1 - next) * noise;
  }
  return x;
}

}  // namespace lp::train
