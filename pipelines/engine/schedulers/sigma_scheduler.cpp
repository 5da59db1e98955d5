// SPDX-License-Identifier: MIT
#include "pipelines/engine/schedulers/sigma_scheduler.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>

#include "pipelines/engine/schedulers/alpha_scheduler.hpp"

namespace lp::engine {

sigma_scheduler::sigma_scheduler(settings& config)
    : schedule_(config, true),
      predicts_(config.predicts()),
      spacing_(read_spacing(config, "linspace")),
      offset_(config.integer("steps_offset", 0, 0, 1000)) {}

double sigma_scheduler::init_noise_sigma() const {
  if (sigmas_.empty()) return schedule_.sigmas().back();
  const double largest = *std::max_element(sigmas_.begin(), sigmas_.end());
  return spacing_ == spacing::leading ? std::sqrt(largest * largest + 1) : largest;
}

at::Tensor sigma_scheduler::scale_model_input(const at::Tensor& sample, std::size_t i) const {
  return sample / std::sqrt(sigmas_[i] * sigmas_[i] + 1);
}

at::Tensor sigma_scheduler::add_noise(const at::Tensor& original, const at::Tensor& noise,
                                      std::size_t i) const {
  return original + noise * sigmas_[i];
}

void sigma_scheduler::plan(int steps) {
  pred_original_.reset();
  timesteps_ = spread(spacing_, schedule_.steps(), steps, offset_, false);
  round_to_float(timesteps_);
  sigmas_.resize(timesteps_.size());
  std::transform(timesteps_.begin(), timesteps_.end(), sigmas_.begin(),
                 [this](double t) { return schedule_.sigma_at(t); });
}

void sigma_scheduler::finish(double last_sigma) {
  sigmas_.push_back(last_sigma);
  round_to_float(sigmas_);
}

at::Tensor sigma_scheduler::foresee(const at::Tensor& output, std::size_t i,
                                    const at::Tensor& sample) const {
  return foresee_at(sigmas_[i], output, sample);
}

at::Tensor sigma_scheduler::foresee_at(double sigma, const at::Tensor& output,
                                       const at::Tensor& sample) const {
  if (predicts_ == prediction::sample) return output;
  if (predicts_ == prediction::epsilon) return sample - output * sigma;
  const double total = sigma * sigma + 1;
  return sample / total - output * (sigma / std::sqrt(total));
}

respaced_scheduler::respaced_scheduler(settings& config)
    : sigma_scheduler(config),
      karras_(config.flag("use_karras_sigmas", false)),
      exponential_(config.flag("use_exponential_sigmas", false)) {
  if (config.flag("use_beta_sigmas", false)) config.complain("use_beta_sigmas: not supported");
}

result<void> respaced_scheduler::plan_respaced(int steps) {
  if (auto ok = check_step_count(steps, 1, schedule_.steps()); !ok) return ok;
  plan(steps);
  if (karras_ || exponential_) {
    const double top = sigmas_.front();
    const double bottom = sigmas_.back();
    sigmas_ = karras_ ? karras_sigmas(top, bottom, steps) : exponential_sigmas(top, bottom, steps);
    std::transform(sigmas_.begin(), sigmas_.end(), timesteps_.begin(),
                   [this](double s) { return schedule_.time_of(s); });
    round_to_float(timesteps_);
  }
  finish(0);
  return {};
}

}  // namespace lp::engine
