// SPDX-License-Identifier: MIT
#include "pipelines/engine/schedulers/solver_scheduler.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>

#include "pipelines/engine/schedulers/alpha_scheduler.hpp"

namespace lp::engine {

solver_scheduler::solver_scheduler(settings& config)
    : schedule_(config, true),
      predicts_(config.predicts()),
      keep_range_(config, false),
      order_(config.integer("solver_order", 2, 1, 3)),
      lower_order_final_(config.flag("lower_order_final", true)),
      ends_at_zero_(config.text("final_sigmas_type", "zero", {"zero", "sigma_min"}) == "zero"),
      spacing_(read_spacing(config, "linspace")),
      offset_(config.integer("steps_offset", 0, 0, 1000)),
      karras_(config.flag("use_karras_sigmas", false)),
      exponential_(config.flag("use_exponential_sigmas", false)),
      round_times_(config.text("beta_schedule", "linear",
                               {"linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"}) !=
                   "squaredcos_cap_v2") {
  for (const auto* key : {"use_beta_sigmas", "use_flow_sigmas", "use_dynamic_shifting"}) {
    if (config.flag(key, false)) config.complain(std::string(key) + ": not supported");
  }
}

result<void> solver_scheduler::set_timesteps(int steps) {
  if (auto ok = check_step_count(steps, 1, schedule_.steps()); !ok) return ok;
  timesteps_ = spread_with_end(spacing_, usable_steps(), schedule_.steps(), steps, offset_);
  sigmas_.resize(timesteps_.size());
  std::transform(timesteps_.begin(), timesteps_.end(), sigmas_.begin(),
                 [this](double t) { return schedule_.sigma_at(t); });
  reshape(steps);
  sigmas_.push_back(ends_at_zero_ ? 0 : schedule_.smallest_sigma());
  round_to_float(sigmas_);
  pred_original_.reset();
  forget();
  return {};
}

void solver_scheduler::reshape(int steps) {
  const double top = schedule_.sigmas().back();
  const double bottom = schedule_.smallest_sigma();
  if (karras_) {
    sigmas_ = karras_sigmas(top, bottom, steps);
  } else if (even_lambdas() || exponential_) {
    sigmas_ = exponential_sigmas(top, bottom, steps);
  } else {
    return;
  }
  timesteps_.resize(sigmas_.size());
  const bool rounds = round_times_ && (karras_ || even_lambdas());
  std::transform(sigmas_.begin(), sigmas_.end(), timesteps_.begin(), [&](double s) {
    const double t = schedule_.time_of(s);
    return rounds ? std::nearbyint(t) : std::trunc(t);
  });
}

at::Tensor solver_scheduler::add_noise(const at::Tensor& original, const at::Tensor& noise,
                                       std::size_t i) const {
  const auto here = level(i);
  return original * here.alpha + noise * here.sigma;
}

}  // namespace lp::engine
