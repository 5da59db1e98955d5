// SPDX-License-Identifier: MIT
// Euler's method on the probability flow ODE, algorithm 2 of arXiv 2206.00364 without churn and
// without the second-order correction.
#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>

#include "pipelines/engine/schedulers/alpha_scheduler.hpp"
#include "pipelines/engine/schedulers/makers.hpp"
#include "pipelines/engine/schedulers/sigma_scheduler.hpp"

namespace lp::engine {

namespace {

class euler final : public sigma_scheduler {
 public:
  explicit euler(settings& config)
      : sigma_scheduler(config),
        karras_(config.flag("use_karras_sigmas", false)),
        exponential_(config.flag("use_exponential_sigmas", false)),
        log_linear_(config.text("interpolation_type", "linear", {"linear", "log_linear"}) !=
                    "linear"),
        ends_at_zero_(config.text("final_sigmas_type", "zero", {"zero", "sigma_min"}) == "zero"),
        continuous_(config.text("timestep_type", "discrete", {"discrete", "continuous"}) !=
                    "discrete"),
        smallest_(config.number("sigma_min")),
        largest_(config.number("sigma_max")) {
    if (config.flag("use_beta_sigmas", false)) config.complain("use_beta_sigmas: not supported");
    if (smallest_.value_or(1) <= 0 || largest_.value_or(1) <= 0)
      config.complain("sigma_min, sigma_max: expected positive numbers");
  }

  result<void> set_timesteps(int steps) override {
    if (auto ok = check_step_count(steps, 1, schedule_.steps()); !ok) return ok;
    plan(steps);
    reshape(steps);
    finish(ends_at_zero_ ? 0 : schedule_.smallest_sigma());
    // Networks trained on continuous levels are told log(sigma) / 4 (eq. 7 and table 1).
    if (continuous_ && predicts_ == prediction::v) {
      for (std::size_t i = 0; i < timesteps_.size(); ++i)
        timesteps_[i] = 0.25 * std::log(sigmas_[i]);
      round_to_float(timesteps_);
    }
    return {};
  }

  at::Tensor step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                  std::vector<at::Generator>& /*noise*/) override {
    pred_original_ = foresee(output, i, sample);
    const auto slope = (sample - pred_original_) / sigmas_[i];
    return sample + slope * (sigmas_[i + 1] - sigmas_[i]);
  }

 private:
  void reshape(int steps) {
    const double top = largest_.value_or(sigmas_.front());
    const double bottom = smallest_.value_or(sigmas_.back());
    if (log_linear_) {
      const auto& all = schedule_.sigmas();
      sigmas_ = exponential_sigmas(all.back(), all.front(), steps + 1);
      sigmas_.pop_back();
    }
    if (!karras_ && !exponential_) return;
    sigmas_ = karras_ ? karras_sigmas(top, bottom, steps) : exponential_sigmas(top, bottom, steps);
    std::transform(sigmas_.begin(), sigmas_.end(), timesteps_.begin(),
                   [this](double s) { return schedule_.time_of(s); });
    round_to_float(timesteps_);
  }

  bool karras_;
  bool exponential_;
  bool log_linear_;
  bool ends_at_zero_;
  bool continuous_;
  std::optional<double> smallest_;
  std::optional<double> largest_;
};

}  // namespace

std::unique_ptr<scheduler> make_euler(settings& config) {
  return std::make_unique<euler>(config);
}

}  // namespace lp::engine
