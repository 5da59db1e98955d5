// SPDX-License-Identifier: MIT
// What the samplers share that work on cumulative alphas at whole time steps.
#pragma once

#include "pipelines/engine/schedulers/estimate.hpp"
#include "pipelines/engine/schedulers/noise_schedule.hpp"
#include "pipelines/engine/schedulers/scheduler.hpp"

namespace lp::engine {

class alpha_scheduler : public scheduler {
 public:
  explicit alpha_scheduler(settings& config);

  at::Tensor add_noise(const at::Tensor& original, const at::Tensor& noise,
                       std::size_t i) const override;
  at::Tensor add_noise_at(const at::Tensor& original, const at::Tensor& noise,
                          int time) const override;

 protected:
  /// Cumulative alpha of a time; before the first time step it is 1 or, without set_alpha_to_one,
  /// the first one.
  double alpha_before_or_at(int t) const;
  int time(std::size_t i) const { return static_cast<int>(timesteps_[i]); }

  /// ec::invalid_parameters unless 1 <= steps <= those of the training.
  result<void> check_steps(int steps) const;
  /// Takes `times` as timesteps() unless one lies beyond the training's last.
  result<void> accept(std::vector<double> times);

  noise_schedule schedule_;
  prediction predicts_;
  double final_alpha_;
};

/// ec::invalid_parameters that names num_inference_steps unless lowest <= steps <= highest.
result<void> check_step_count(int steps, int lowest, int highest);

}  // namespace lp::engine
