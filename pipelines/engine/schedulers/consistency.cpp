// SPDX-License-Identifier: MIT
// Samplers of distilled networks: latent consistency models (arXiv 2310.04378) and trajectory
// consistency distillation (arXiv 2402.19159).
#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include "pipelines/engine/schedulers/alpha_scheduler.hpp"
#include "pipelines/engine/schedulers/makers.hpp"

namespace lp::engine {

namespace {

/// Both pick their time steps among the few that the distillation used.
class consistency_scheduler : public alpha_scheduler {
 public:
  explicit consistency_scheduler(settings& config)
      : alpha_scheduler(config),
        keep_range_(config, false),
        original_steps_(config.integer("original_inference_steps", 50, 1, schedule_.steps())) {}

  result<void> set_timesteps(int steps) override { return choose(steps, original_steps_); }

  /// All the steps lie in the part of the distillation's that the image needs.
  result<std::size_t> set_timesteps_from(int steps, double strength) override {
    if (auto ok = choose(steps, static_cast<int>(original_steps_ * strength)); !ok)
      return fail(ok.error());
    return std::size_t{0};
  }

 protected:
  bool is_last(std::size_t i) const { return i + 1 == timesteps_.size(); }
  estimate foresee(const at::Tensor& output, std::size_t i, const at::Tensor& sample) const {
    const double alpha = schedule_.alpha_cumprod(time(i));
    return split_sample(predicts_, output, sample, std::sqrt(alpha), std::sqrt(1 - alpha));
  }

  range_keeper keep_range_;

 private:
  /// `steps` out of the first `usable` of the distillation's.
  result<void> choose(int steps, int usable) {
    if (auto ok = check_step_count(steps, 1, usable); !ok) return ok;
    const int width = schedule_.steps() / original_steps_;
    std::vector<double> times;
    for (int k = 0; k < steps; ++k) {
      const auto index = static_cast<int>(k * (static_cast<double>(usable) / steps));
      times.push_back((usable - index) * width - 1);
    }
    return accept(std::move(times));
  }

  int original_steps_;
};

class lcm final : public consistency_scheduler {
 public:
  explicit lcm(settings& config)
      : consistency_scheduler(config), time_scale_(config.number("timestep_scaling", 10.0)) {}

  at::Tensor step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                  std::vector<at::Generator>& noise) override {
    // Boundary conditions of a consistency function, sigma_data = 0.5.
    constexpr double variance = 0.25;
    const double t = time(i) * time_scale_;
    const double skip = variance / (t * t + variance);
    const double out = t / std::sqrt(t * t + variance);
    pred_original_ = keep_range_(foresee(output, i, sample).clean) * out + sample * skip;
    if (is_last(i)) return pred_original_;
    const double next = alpha_before_or_at(time(i + 1));
    return pred_original_ * std::sqrt(next) + draw_noise_for(sample, noise) * std::sqrt(1 - next);
  }

 private:
  double time_scale_;
};

class tcd final : public consistency_scheduler {
 public:
  explicit tcd(settings& config) : consistency_scheduler(config) { set_eta(0.3); }

  at::Tensor step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                  std::vector<at::Generator>& noise) override {
    const int target = is_last(i) ? 0 : time(i + 1);
    const double next = alpha_before_or_at(target);
    // Jump below the target, to (1 - gamma) of its time, and come back up with noise.
    const double below = schedule_.alpha_cumprod(static_cast<int>(std::floor((1 - eta_) * target)));
    const auto parts = foresee(output, i, sample);
    pred_original_ = keep_range_(parts.clean);
    auto jumped = pred_original_ * std::sqrt(below) + parts.noise * std::sqrt(1 - below);
    if (eta_ <= 0 || is_last(i)) return jumped;
    const double kept = next / below;
    return jumped * std::sqrt(kept) + draw_noise_for(sample, noise) * std::sqrt(1 - kept);
  }
};

}  // namespace

std::unique_ptr<scheduler> make_lcm(settings& config) {
  return std::make_unique<lcm>(config);
}
std::unique_ptr<scheduler> make_tcd(settings& config) {
  return std::make_unique<tcd>(config);
}

}  // namespace lp::engine
