// SPDX-License-Identifier: MIT
// Denoising Diffusion Implicit Models, arXiv 2010.02502.
#include <cmath>

#include <ATen/TensorOperators.h>

#include "pipelines/engine/schedulers/alpha_scheduler.hpp"
#include "pipelines/engine/schedulers/makers.hpp"

namespace lp::engine {

namespace {

class ddim final : public alpha_scheduler {
 public:
  explicit ddim(settings& config)
      : alpha_scheduler(config),
        keep_range_(config, true),
        spacing_(read_spacing(config, "leading")),
        offset_(config.integer("steps_offset", 0, 0, 1000)) {}

  result<void> set_timesteps(int steps) override {
    if (auto ok = check_steps(steps); !ok) return ok;
    width_ = schedule_.steps() / steps;
    return accept(spread(spacing_, schedule_.steps(), steps, offset_, true));
  }

  at::Tensor step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                  std::vector<at::Generator>& noise) override {
    const double alpha = schedule_.alpha_cumprod(time(i));
    const double next_alpha = alpha_before_or_at(time(i) - width_);
    const auto parts =
        split_sample(predicts_, output, sample, std::sqrt(alpha), std::sqrt(1 - alpha));
    pred_original_ = keep_range_(parts.clean);
    // Eq. 16 of the paper: the part of the next noise that is drawn anew.
    const double variance = (1 - next_alpha) / (1 - alpha) * (1 - alpha / next_alpha);
    const double fresh = eta_ * std::sqrt(variance);
    auto next = pred_original_ * std::sqrt(next_alpha) +
                parts.noise * std::sqrt(1 - next_alpha - fresh * fresh);
    if (eta_ > 0) next += draw_noise_for(sample, noise) * fresh;
    return next;
  }

 private:
  range_keeper keep_range_;
  spacing spacing_;
  int offset_;
  int width_ = 1;
};

}  // namespace

std::unique_ptr<scheduler> make_ddim(settings& config) {
  return std::make_unique<ddim>(config);
}

}  // namespace lp::engine
