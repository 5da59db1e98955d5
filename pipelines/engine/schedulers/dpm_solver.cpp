// SPDX-License-Identifier: MIT
// Multistep DPM-Solver (arXiv 2206.00927) and DPM-Solver++ (arXiv 2211.01095), deterministic and
// stochastic, orders 1 to 3.
#include <cmath>
#include <deque>
#include <limits>

#include <ATen/TensorOperators.h>

#include "pipelines/engine/schedulers/makers.hpp"
#include "pipelines/engine/schedulers/solver_scheduler.hpp"

namespace lp::engine {

namespace {

/// Weights of a step: next = keep * sample + d0 * D0 + d1 * D1 + d2 * D2 + fresh * noise, where D0
/// is the newest output and D1, D2 are its derivatives by lambda, estimated from older ones.
struct weights {
  double keep = 0, d0 = 0, d1 = 0, d2 = 0, fresh = 0;
};

class dpm_solver final : public solver_scheduler {
 public:
  explicit dpm_solver(settings& config) : solver_scheduler(config) {
    const auto name = config.text("algorithm_type", "dpmsolver++",
                                  {"dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++"});
    predicts_clean_ = name.ends_with("++");
    stochastic_ = name.starts_with("sde");
    heun_ = config.text("solver_type", "midpoint", {"midpoint", "heun", "logrho", "bh1", "bh2"}) ==
            "heun";
    euler_at_final_ = config.flag("euler_at_final", false);
    even_lambdas_ = config.flag("use_lu_lambdas", false);
    lowest_lambda_ = config.number("lambda_min_clipped", -std::numeric_limits<double>::infinity());
    if (ends_at_zero_ && !predicts_clean_)
      config.complain("final_sigmas_type: " + name + " needs sigma_min");
    if (order_ == 3 && stochastic_ && !predicts_clean_)
      config.complain("solver_order: sde-dpmsolver takes 1 and 2");
    const auto variance = config.text("variance_type", "", {"fixed", "learned", "learned_range"});
    if (variance.starts_with("learned"))
      config.complain("variance_type: networks with a learned variance are not supported");
  }

  at::Tensor step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                  std::vector<at::Generator>& noise) override {
    remember(output, i, sample);
    const int order = order_at(i);
    const auto from = level(i);
    const auto to = level(i + 1);
    const double h = to.lambda - from.lambda;
    const auto w =
        predicts_clean_ ? clean_weights(from, to, h, order) : noise_weights(from, to, h, order);
    auto next = sample * w.keep + outputs_.back() * w.d0;
    if (order == 2) next += first_difference(i, h) * w.d1;
    if (order == 3) add_third_order(next, i, h, w);
    if (stochastic_) next += draw_noise_for(sample, noise) * w.fresh;
    return next;
  }

 protected:
  int usable_steps() const override {
    int usable = schedule_.steps();
    while (usable > 1 &&
           variance_preserving(schedule_.sigmas()[usable - 1]).lambda < lowest_lambda_)
      --usable;
    return usable;
  }
  bool even_lambdas() const override { return even_lambdas_; }
  void forget() override {
    outputs_.clear();
    done_ = 0;
  }

 private:
  /// Keeps as many outputs as the order needs, as the quantity that the algorithm integrates.
  void remember(const at::Tensor& output, std::size_t i, const at::Tensor& sample) {
    const auto here = level(i);
    auto parts = split_sample(predicts_, output, sample, here.alpha, here.sigma);
    if (keep_range_.thresholds()) {
      parts.clean = keep_range_(parts.clean);
      parts.noise = (sample - parts.clean * here.alpha) / here.sigma;
    }
    outputs_.push_back(predicts_clean_ ? parts.clean : parts.noise);
    if (outputs_.size() > static_cast<std::size_t>(order_)) outputs_.pop_front();
    ++done_;
  }

  /// Fewer than 15 steps end with lower orders, and a step to sigma 0 is always of order 1.
  int order_at(std::size_t i) const {
    const auto total = timesteps_.size();
    const bool lower = lower_order_final_ && total < 15;
    if (i + 1 == total && (euler_at_final_ || lower || ends_at_zero_)) return 1;
    const int limit = i + 2 == total && lower ? std::min(order_, 2) : order_;
    return std::min(limit, done_);
  }

  weights clean_weights(const variance_preserving& from, const variance_preserving& to, double h,
                        int order) const {
    // The stochastic form is the deterministic one over twice the step, with the rest as noise.
    const double g = stochastic_ ? 2 * h : h;
    const double fall = -std::expm1(-g);
    weights w;
    w.keep = to.sigma / from.sigma * (stochastic_ ? std::exp(-h) : 1);
    w.d0 = to.alpha * fall;
    if (order == 2) w.d1 = heun_ ? to.alpha * (1 - fall / g) : to.alpha * fall / 2;
    if (order == 3) {
      w.d1 = to.alpha * (1 - fall / g);
      w.d2 = to.alpha * ((fall - g) / (g * g) + 0.5);
    }
    if (stochastic_) w.fresh = to.sigma * std::sqrt(-std::expm1(-2 * h));
    return w;
  }

  weights noise_weights(const variance_preserving& from, const variance_preserving& to, double h,
                        int order) const {
    const double twice = stochastic_ ? 2 : 1;
    const double rise = std::expm1(h);
    weights w;
    w.keep = to.alpha / from.alpha;
    w.d0 = -twice * to.sigma * rise;
    if (order == 2) w.d1 = -twice * to.sigma * (heun_ ? rise / h - 1 : rise / 2);
    if (order == 3) {
      w.d1 = -to.sigma * (rise / h - 1);
      w.d2 = -to.sigma * ((rise - h) / (h * h) - 0.5);
    }
    if (stochastic_) w.fresh = to.sigma * std::sqrt(std::expm1(2 * h));
    return w;
  }

  /// Length of the step that ended at call `i`, as a part of `h`.
  double ratio(std::size_t i, double h) const {
    return (level(i).lambda - level(i - 1).lambda) / h;
  }

  at::Tensor first_difference(std::size_t i, double h) const {
    const auto n = outputs_.size();
    return (outputs_[n - 1] - outputs_[n - 2]) / ratio(i, h);
  }

  void add_third_order(at::Tensor& next, std::size_t i, double h, const weights& w) const {
    const double r0 = ratio(i, h);
    const double r1 = ratio(i - 1, h);
    const auto newer = (outputs_[2] - outputs_[1]) / r0;
    const auto older = (outputs_[1] - outputs_[0]) / r1;
    const auto second = (newer - older) / (r0 + r1);
    next += (newer + second * r0) * w.d1 + second * w.d2;
  }

  bool predicts_clean_ = true;
  bool stochastic_ = false;
  bool heun_ = false;
  bool euler_at_final_ = false;
  bool even_lambdas_ = false;
  double lowest_lambda_ = 0;
  std::deque<at::Tensor> outputs_;
  int done_ = 0;
};

}  // namespace

std::unique_ptr<scheduler> make_dpm_solver_multistep(settings& config) {
  return std::make_unique<dpm_solver>(config);
}

}  // namespace lp::engine
