// SPDX-License-Identifier: MIT
// Samplers that call the network twice a step, on the scale of sigmas: Heun's method (algorithm 1
// of arXiv 2206.00364 without churn) and the midpoint rule, plain (KDPM2) and ancestral.
#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>

#include "pipelines/engine/schedulers/makers.hpp"
#include "pipelines/engine/schedulers/sigma_scheduler.hpp"

namespace lp::engine {

namespace {

/// Each value twice but for the first and, where `last_once`, the last.
std::vector<double> doubled(const std::vector<double>& values, bool last_once) {
  std::vector<double> out;
  for (std::size_t k = 0; k < values.size(); ++k) {
    out.push_back(values[k]);
    if (k > 0 && !(last_once && k + 1 == values.size())) out.push_back(values[k]);
  }
  return out;
}

/// Even calls begin a step, odd ones end it.
class second_order_scheduler : public respaced_scheduler {
 public:
  using respaced_scheduler::respaced_scheduler;

  int calls_per_step() const override { return 2; }

 protected:
  static bool begins(std::size_t i) { return i % 2 == 0; }

  result<void> plan_steps(int steps) {
    start_.reset();
    return plan_respaced(steps);
  }

  at::Tensor start_;  ///< the sample that the step began with
};

class heun final : public second_order_scheduler {
 public:
  explicit heun(settings& config)
      : second_order_scheduler(config),
        clips_(config.flag("clip_sample", false)),
        clip_range_(config.number("clip_sample_range", 1.0)) {}

  result<void> set_timesteps(int steps) override {
    if (auto ok = plan_steps(steps); !ok) return ok;
    sigmas_ = doubled(sigmas_, true);
    timesteps_ = doubled(timesteps_, false);
    round_to_float(timesteps_);
    return {};
  }

  at::Tensor step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                  std::vector<at::Generator>& /*noise*/) override {
    pred_original_ = foresee_at(sigmas_[i], output, sample);
    if (clips_) pred_original_ = pred_original_.clamp(-clip_range_, clip_range_);
    const auto slope = (sample - pred_original_) / sigmas_[i];
    if (begins(i)) {
      start_ = sample;
      slope_ = slope;
      return sample + slope * (sigmas_[i + 1] - sigmas_[i]);
    }
    return start_ + (slope_ + slope) / 2 * (sigmas_[i] - sigmas_[i - 1]);
  }

 private:
  bool clips_;
  double clip_range_;
  at::Tensor slope_;
};

/// A step goes by the slope at a point between its ends, in the middle of their logarithms.
class midpoint final : public second_order_scheduler {
 public:
  midpoint(settings& config, bool ancestral)
      : second_order_scheduler(config), ancestral_(ancestral) {}

  result<void> set_timesteps(int steps) override {
    if (auto ok = plan_steps(steps); !ok) return ok;
    const auto ends = sigmas_;
    const auto times = timesteps_;
    plan_middles(ends);
    sigmas_ = doubled(ends, false);
    sigmas_.push_back(0);  // as others list them; no call looks at it
    timesteps_ = {times.front()};
    for (std::size_t k = 1; k < times.size(); ++k) {
      timesteps_.push_back(schedule_.time_of(middles_[k - 1]));
      timesteps_.push_back(times[k]);
    }
    round_to_float(timesteps_);
    return {};
  }

  at::Tensor scale_model_input(const at::Tensor& sample, std::size_t i) const override {
    const double sigma = here(i);
    return sample / std::sqrt(sigma * sigma + 1);
  }

  at::Tensor step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                  std::vector<at::Generator>& noise) override {
    const auto k = i / 2;
    const double from = sigmas_[begins(i) ? i : i - 1];
    pred_original_ = foresee_at(here(i), output, sample);
    const auto slope = (sample - pred_original_) / here(i);
    if (begins(i)) {
      start_ = sample;
      return sample + slope * (middles_[k] - from);
    }
    auto next = start_ + slope * (targets_[k] - from);
    if (ancestral_) next += draw_noise_for(sample, noise) * fresh_[k];
    return next;
  }

 private:
  double here(std::size_t i) const { return begins(i) ? sigmas_[i] : middles_[i / 2]; }

  /// What each step aims at: its end, or with fresh noise a point below it.
  void plan_middles(const std::vector<double>& ends) {
    middles_.clear();
    targets_.clear();
    fresh_.clear();
    for (std::size_t k = 0; k + 1 < ends.size(); ++k) {
      const double from = ends[k] * ends[k];
      const double to = ends[k + 1] * ends[k + 1];
      const double up = ancestral_ ? std::sqrt(to * (from - to) / from) : 0;
      const double down = ancestral_ ? std::sqrt(to - up * up) : ends[k + 1];
      fresh_.push_back(up);
      targets_.push_back(down);
      middles_.push_back(std::sqrt(ends[k] * down));
    }
    round_to_float(middles_);
  }

  bool ancestral_;
  std::vector<double> middles_;  ///< a step's inner sigma
  std::vector<double> targets_;
  std::vector<double> fresh_;
};

}  // namespace

std::unique_ptr<scheduler> make_heun(settings& config) {
  return std::make_unique<heun>(config);
}
std::unique_ptr<scheduler> make_kdpm2(settings& config) {
  return std::make_unique<midpoint>(config, false);
}
std::unique_ptr<scheduler> make_kdpm2_ancestral(settings& config) {
  return std::make_unique<midpoint>(config, true);
}

}  // namespace lp::engine
