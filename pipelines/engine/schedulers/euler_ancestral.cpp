// SPDX-License-Identifier: MIT
// Euler's method with ancestral noise: each step goes below its target and is brought back up with
// fresh noise.
#include <cmath>

#include <ATen/TensorOperators.h>

#include "pipelines/engine/schedulers/alpha_scheduler.hpp"
#include "pipelines/engine/schedulers/makers.hpp"
#include "pipelines/engine/schedulers/sigma_scheduler.hpp"

namespace lp::engine {

namespace {

class euler_ancestral final : public sigma_scheduler {
 public:
  using sigma_scheduler::sigma_scheduler;

  result<void> set_timesteps(int steps) override {
    if (auto ok = check_step_count(steps, 1, schedule_.steps()); !ok) return ok;
    plan(steps);
    finish(0);
    return {};
  }

  at::Tensor step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                  std::vector<at::Generator>& noise) override {
    pred_original_ = foresee(output, i, sample);
    const double from = sigmas_[i] * sigmas_[i];
    const double to = sigmas_[i + 1] * sigmas_[i + 1];
    const double up = std::sqrt(to * (from - to) / from);
    const double down = std::sqrt(to - up * up);
    const auto slope = (sample - pred_original_) / sigmas_[i];
    auto next = sample + slope * (down - sigmas_[i]);
    // Drawn for the last step too, where up is 0: the generator's state stays as others expect it.
    next += draw_noise_for(sample, noise) * up;
    return next;
  }
};

}  // namespace

std::unique_ptr<scheduler> make_euler_ancestral(settings& config) {
  return std::make_unique<euler_ancestral>(config);
}

}  // namespace lp::engine
