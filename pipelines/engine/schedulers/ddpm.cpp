// SPDX-License-Identifier: MIT
// Denoising Diffusion Probabilistic Models, arXiv 2006.11239: the ancestral sampler.
#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>

#include "pipelines/engine/schedulers/alpha_scheduler.hpp"
#include "pipelines/engine/schedulers/makers.hpp"

namespace lp::engine {

namespace {

class ddpm final : public alpha_scheduler {
 public:
  explicit ddpm(settings& config)
      : alpha_scheduler(config),
        keep_range_(config, true),
        spacing_(read_spacing(config, "leading")),
        offset_(config.integer("steps_offset", 0, 0, 1000)) {
    const auto variance = config.text("variance_type", "fixed_small",
                                      {"fixed_small", "fixed_small_log", "fixed_large",
                                       "fixed_large_log", "learned", "learned_range"});
    if (variance.starts_with("learned"))
      config.complain("variance_type: networks with a learned variance are not supported");
    large_ = variance.starts_with("fixed_large");
  }

  result<void> set_timesteps(int steps) override {
    if (auto ok = check_steps(steps); !ok) return ok;
    return accept(spread(spacing_, schedule_.steps(), steps, offset_, true));
  }

  at::Tensor step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                  std::vector<at::Generator>& noise) override {
    const double alpha = schedule_.alpha_cumprod(time(i));
    const double next = i + 1 < timesteps_.size() ? schedule_.alpha_cumprod(time(i + 1)) : 1.0;
    const double kept = alpha / next;
    pred_original_ = keep_range_(
        split_sample(predicts_, output, sample, std::sqrt(alpha), std::sqrt(1 - alpha)).clean);
    // Eq. 7: the mean of the posterior of the next sample.
    auto mean = pred_original_ * (std::sqrt(next) * (1 - kept) / (1 - alpha)) +
                sample * (std::sqrt(kept) * (1 - next) / (1 - alpha));
    if (time(i) <= 0) return mean;
    const double variance = large_ ? 1 - kept : (1 - next) / (1 - alpha) * (1 - kept);
    return mean + draw_noise_for(sample, noise) * std::sqrt(std::max(variance, 1e-20));
  }

 private:
  range_keeper keep_range_;
  spacing spacing_;
  int offset_;
  bool large_ = false;
};

}  // namespace

std::unique_ptr<scheduler> make_ddpm(settings& config) {
  return std::make_unique<ddpm>(config);
}

}  // namespace lp::engine
