// SPDX-License-Identifier: MIT
// What DPM-Solver and UniPC share: variance-preserving samples, steps in half log-SNR (lambda).
#pragma once

#include <deque>

#include "pipelines/engine/schedulers/estimate.hpp"
#include "pipelines/engine/schedulers/noise_schedule.hpp"
#include "pipelines/engine/schedulers/scheduler.hpp"

namespace lp::engine {

class solver_scheduler : public scheduler {
 public:
  explicit solver_scheduler(settings& config);

  result<void> set_timesteps(int steps) override;
  at::Tensor add_noise(const at::Tensor& original, const at::Tensor& noise,
                       std::size_t i) const override;

 protected:
  /// The level of call `i`; i == timesteps().size() is the end.
  variance_preserving level(std::size_t i) const { return variance_preserving(sigmas_[i]); }
  /// Steps of the training that are used: fewer where lambda_min_clipped cuts the noisiest off.
  virtual int usable_steps() const { return schedule_.steps(); }
  /// Sigmas even in lambda (use_lu_lambdas).
  virtual bool even_lambdas() const { return false; }
  virtual void forget() {}

  noise_schedule schedule_;
  prediction predicts_;
  range_keeper keep_range_;
  int order_;
  bool lower_order_final_;
  bool ends_at_zero_;

 private:
  void reshape(int steps);

  spacing spacing_;
  int offset_;
  bool karras_;
  bool exponential_;
  bool round_times_;
};

}  // namespace lp::engine
