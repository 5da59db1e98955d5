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

  noise_schedule schedule_;
  prediction predicts_;
  spacing spacing_;
  int offset_;
};

}  // namespace lp::engine
