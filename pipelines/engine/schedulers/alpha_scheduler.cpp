// SPDX-License-Identifier: MIT
#include "pipelines/engine/schedulers/alpha_scheduler.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

namespace lp::engine {

result<void> check_step_count(int steps, int lowest, int highest) {
  if (steps >= lowest && steps <= highest) return {};
  return fail(ec::invalid_parameters,
              fmt::format("num_inference_steps: this model's scheduler takes {} to {}, not {}",
                          lowest, highest, steps));
}

alpha_scheduler::alpha_scheduler(settings& config)
    : schedule_(config, false),
      predicts_(config.predicts()),
      final_alpha_(config.flag("set_alpha_to_one", true) ? 1.0 : schedule_.alpha_cumprod(0)) {}

at::Tensor alpha_scheduler::add_noise(const at::Tensor& original, const at::Tensor& noise,
                                      std::size_t i) const {
  return add_noise_at(original, noise, time(i));
}

at::Tensor alpha_scheduler::add_noise_at(const at::Tensor& original, const at::Tensor& noise,
                                         int t) const {
  const double alpha = schedule_.alpha_cumprod(t);
  return original * std::sqrt(alpha) + noise * std::sqrt(1 - alpha);
}

double alpha_scheduler::alpha_before_or_at(int t) const {
  return t < 0 ? final_alpha_ : schedule_.alpha_cumprod(t);
}

result<void> alpha_scheduler::check_steps(int steps) const {
  return check_step_count(steps, 1, schedule_.steps());
}

result<void> alpha_scheduler::accept(std::vector<double> times) {
  if (*std::max_element(times.begin(), times.end()) >= schedule_.steps()) {
    return fail(ec::invalid_parameters,
                "num_inference_steps: too many for this model's scheduler (its steps_offset leads "
                "beyond the last time step)");
  }
  timesteps_ = std::move(times);
  pred_original_.reset();
  return {};
}

}  // namespace lp::engine
