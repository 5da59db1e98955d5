// SPDX-License-Identifier: MIT
// Linear multistep on the scale of sigmas: Adams-Bashforth of order 4 for uneven steps, as
// Katherine Crowson's k-diffusion has it.
#include <algorithm>
#include <array>
#include <cmath>
#include <deque>

#include <ATen/TensorOperators.h>

#include "pipelines/engine/schedulers/makers.hpp"
#include "pipelines/engine/schedulers/sigma_scheduler.hpp"

namespace lp::engine {

namespace {

constexpr std::size_t max_order = 4;

class lms final : public respaced_scheduler {
 public:
  using respaced_scheduler::respaced_scheduler;

  result<void> set_timesteps(int steps) override {
    slopes_.clear();
    return plan_respaced(steps);
  }

  at::Tensor step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                  std::vector<at::Generator>& /*noise*/) override {
    pred_original_ = foresee(output, i, sample);
    slopes_.push_front((sample - pred_original_) / sigmas_[i]);
    if (slopes_.size() > max_order) slopes_.pop_back();
    const auto order = std::min(i + 1, max_order);
    auto next = sample;
    for (std::size_t age = 0; age < std::min(order, slopes_.size()); ++age)
      next = next + slopes_[age] * weight(i, order, age);
    return next;
  }

 private:
  /// The integral over the step of the Lagrange polynomial that is 1 at the slope of that age and 0
  /// at the others.
  double weight(std::size_t i, std::size_t order, std::size_t age) const {
    // Gauss-Legendre with three points is exact up to degree 5; here it is at most 3.
    static const std::array<std::pair<double, double>, 3> points = {
        {{-std::sqrt(0.6), 5.0 / 9}, {0, 8.0 / 9}, {std::sqrt(0.6), 5.0 / 9}}};
    const double middle = (sigmas_[i] + sigmas_[i + 1]) / 2;
    const double half = (sigmas_[i + 1] - sigmas_[i]) / 2;
    double sum = 0;
    for (const auto& [place, share] : points) {
      double value = share;
      for (std::size_t other = 0; other < order; ++other) {
        if (other == age) continue;
        value *=
            (middle + half * place - sigmas_[i - other]) / (sigmas_[i - age] - sigmas_[i - other]);
      }
      sum += value;
    }
    return sum * half;
  }

  std::deque<at::Tensor> slopes_;  ///< newest first
};

}  // namespace

std::unique_ptr<scheduler> make_lms(settings& config) {
  return std::make_unique<lms>(config);
}

}  // namespace lp::engine
