// SPDX-License-Identifier: MIT
// What the Euler samplers share: samples are clean + sigma * noise (variance exploding), and the
// network is shown them scaled to unit variance. Notation of Karras et al., arXiv 2206.00364.
#pragma once

#include "pipelines/engine/schedulers/noise_schedule.hpp"
#include "pipelines/engine/schedulers/scheduler.hpp"

namespace lp::engine {

class sigma_scheduler : public scheduler {
 public:
  explicit sigma_scheduler(settings& config);

  /// The largest sigma; with leading spacing the deviation of data and noise together.
  double init_noise_sigma() const override;
  at::Tensor scale_model_input(const at::Tensor& sample, std::size_t i) const override;
  at::Tensor add_noise(const at::Tensor& original, const at::Tensor& noise,
                       std::size_t i) const override;

 protected:
  /// Picks time steps and the sigmas at them, one each.
  void plan(int steps);
  /// Appends the last sigma and rounds.
  void finish(double last_sigma);
  /// The clean sample foreseen from the sample of call `i`.
  at::Tensor foresee(const at::Tensor& output, std::size_t i, const at::Tensor& sample) const;
  /// The same where the noise is `sigma`.
  at::Tensor foresee_at(double sigma, const at::Tensor& output, const at::Tensor& sample) const;

  noise_schedule schedule_;
  prediction predicts_;
  spacing spacing_;
  int offset_;
};

/// Samplers whose sigmas may be spread anew between the largest and the smallest: evenly in the
/// seventh root (Karras et al., eq. 5) or in the logarithm.
class respaced_scheduler : public sigma_scheduler {
 public:
  explicit respaced_scheduler(settings& config);

 protected:
  /// One time step and sigma a step, and the sigma 0 of the end. ec::invalid_parameters for a
  /// number of steps that cannot be.
  result<void> plan_respaced(int steps);

 private:
  bool karras_;
  bool exponential_;
};

}  // namespace lp::engine
