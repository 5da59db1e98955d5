// SPDX-License-Identifier: MIT
// Singlestep DPM-Solver (arXiv 2206.00927) and DPM-Solver++ (arXiv 2211.01095): groups of calls of
// rising order, each of which starts anew from the group's first sample.
#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>

#include <ATen/TensorOperators.h>

#include "pipelines/engine/schedulers/makers.hpp"
#include "pipelines/engine/schedulers/solver_scheduler.hpp"

namespace lp::engine {

namespace {

class dpm_solver_single final : public solver_scheduler {
 public:
  explicit dpm_solver_single(settings& config) : solver_scheduler(config) {
    lower_order_final_ = config.flag("lower_order_final", false);
    const auto name = config.text("algorithm_type", "dpmsolver++",
                                  {"dpmsolver", "dpmsolver++", "sde-dpmsolver++"});
    predicts_clean_ = name != "dpmsolver";
    if (name == "sde-dpmsolver++")
      config.complain("algorithm_type: sde-dpmsolver++ is there for multistep only");
    heun_ = config.text("solver_type", "midpoint", {"midpoint", "heun", "logrho", "bh1", "bh2"}) ==
            "heun";
    lowest_lambda_ = config.number("lambda_min_clipped", -std::numeric_limits<double>::infinity());
    if (ends_at_zero_ && !predicts_clean_)
      config.complain("final_sigmas_type: dpmsolver needs sigma_min");
  }

  at::Tensor step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                  std::vector<at::Generator>& /*noise*/) override {
    const auto here = level(i);
    auto parts = split_sample(predicts_, output, sample, here.alpha, here.sigma);
    parts.clean = keep_range_(parts.clean);
    if (keep_range_.thresholds()) parts.noise = (sample - parts.clean * here.alpha) / here.sigma;
    outputs_.push_front(predicts_clean_ ? parts.clean : parts.noise);
    if (outputs_.size() > static_cast<std::size_t>(order_)) outputs_.pop_back();
    // A run that starts in the middle has not the outputs for a higher order yet.
    const int order = std::min(orders_[i], static_cast<int>(outputs_.size()));
    if (order == 1) start_ = sample;
    return advance(i, order);
  }

 protected:
  int usable_steps() const override {
    int usable = schedule_.steps();
    while (usable > 1 &&
           variance_preserving(schedule_.sigmas()[usable - 1]).lambda < lowest_lambda_)
      --usable;
    return usable;
  }
  void forget() override {
    orders_ = plan();
    outputs_.clear();
    start_.reset();
  }

 private:
  /// Groups of 1, 2, .. order; what is left at the end are shorter groups.
  std::vector<int> plan() const {
    const auto steps = static_cast<int>(timesteps_.size());
    const bool shortens = lower_order_final_ || steps % order_ != 0 || ends_at_zero_;
    const int rest = steps % order_;
    std::vector<int> tail;
    if (shortens && order_ == 2) tail = rest == 0 ? std::vector{1, 1} : std::vector{1};
    if (shortens && order_ == 3)
      tail = rest == 0 ? std::vector{1, 2, 1} : rest == 1 ? std::vector{1} : std::vector{1, 2};
    std::vector<int> out;
    const auto groups = std::max(0, steps - static_cast<int>(tail.size()));
    for (int k = 0; k < groups; ++k) out.push_back(k % order_ + 1);
    out.insert(out.end(), tail.begin(), tail.end());
    out.resize(static_cast<std::size_t>(steps), 1);
    if (ends_at_zero_) out.back() = 1;
    return out;
  }

  /// From the sample at the start of the group to the end of call `i`.
  at::Tensor advance(std::size_t i, int order) const {
    const auto from = level(i + 1 - static_cast<std::size_t>(order));
    const auto to = level(i + 1);
    const double h = to.lambda - from.lambda;
    const auto& first = outputs_[static_cast<std::size_t>(order) - 1];
    const double moves = predicts_clean_ ? to.alpha * -std::expm1(-h) : -to.sigma * std::expm1(h);
    auto next =
        start_ * (predicts_clean_ ? to.sigma / from.sigma : to.alpha / from.alpha) + first * moves;
    if (order == 1) return next;
    const double bends =
        predicts_clean_ ? to.alpha * (std::expm1(-h) / h + 1) : -to.sigma * (std::expm1(h) / h - 1);
    const auto ratio = [&](std::size_t age) { return (level(i - age).lambda - from.lambda) / h; };
    const auto newest = (outputs_[0] - first) / ratio(0);
    if (order == 2) return next + newest * (heun_ ? bends : moves / 2);
    if (!heun_) return next + newest * bends;
    const double r0 = ratio(0), r1 = ratio(1);
    const auto older = (outputs_[1] - first) / r1;
    const auto slope = (older * r0 - newest * r1) / (r0 - r1);
    const auto curve = (newest - older) * (2 / (r0 - r1));
    const double curves = predicts_clean_ ? -to.alpha * ((std::expm1(-h) + h) / (h * h) - 0.5)
                                          : -to.sigma * ((std::expm1(h) - h) / (h * h) - 0.5);
    return next + slope * bends + curve * curves;
  }

  bool predicts_clean_ = true;
  bool heun_ = false;
  double lowest_lambda_ = 0;
  std::vector<int> orders_;         ///< of each call
  std::deque<at::Tensor> outputs_;  ///< newest first
  at::Tensor start_;                ///< the sample that the group began with
};

}  // namespace

std::unique_ptr<scheduler> make_dpm_solver_single(settings& config) {
  return std::make_unique<dpm_solver_single>(config);
}

}  // namespace lp::engine
