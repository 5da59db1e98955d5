// SPDX-License-Identifier: MIT
// Diffusion Exponential Integrator Sampler, arXiv 2204.13902, in the form that interpolates over
// log(rho), rho = sigma / alpha; orders 1 to 3.
#include <algorithm>
#include <array>
#include <cmath>
#include <deque>

#include <ATen/TensorOperators.h>

#include "pipelines/engine/schedulers/makers.hpp"
#include "pipelines/engine/schedulers/solver_scheduler.hpp"

namespace lp::engine {

namespace {

/// Antiderivative at t of the polynomial in log(t) that is 1 at b and 0 at c.
double integral(double t, double b, double c) {
  return t * (std::log(t) - std::log(c) - 1) / (std::log(b) - std::log(c));
}

/// The same with zeros at c and d.
double integral(double t, double b, double c, double d) {
  const double lt = std::log(t), lb = std::log(b), lc = std::log(c), ld = std::log(d);
  return t * (lc * (ld - lt + 1) - ld * lt + ld + lt * lt - 2 * lt + 2) / ((lb - lc) * (lb - ld));
}

class deis final : public solver_scheduler {
 public:
  explicit deis(settings& config) : solver_scheduler(config) {
    ends_at_zero_ = false;  // a logarithm of the last sigma is taken
    config.text("algorithm_type", "deis", {"deis", "dpmsolver", "dpmsolver++"});
    config.text("solver_type", "logrho", {"logrho", "midpoint", "heun", "bh1", "bh2"});
  }

  at::Tensor step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                  std::vector<at::Generator>& /*noise*/) override {
    const auto from = level(i);
    const auto to = level(i + 1);
    const auto parts = split_sample(predicts_, output, sample, from.alpha, from.sigma);
    const auto clean = keep_range_(parts.clean);
    outputs_.push_front((sample - clean * from.alpha) / from.sigma);
    if (outputs_.size() > static_cast<std::size_t>(order_)) outputs_.pop_back();
    switch (order_at(i)) {
      case 1:
        return sample * (to.alpha / from.alpha) -
               outputs_[0] * (to.sigma * std::expm1(to.lambda - from.lambda));
      case 2:
        return combine(sample, i, {weight(i, 0, 1), weight(i, 1, 0)});
      default:
        return combine(sample, i, {weight(i, 0, 1, 2), weight(i, 1, 2, 0), weight(i, 2, 0, 1)});
    }
  }

 protected:
  void forget() override { outputs_.clear(); }

 private:
  double rho(std::size_t i, std::size_t age) const { return sigmas_[i - age]; }

  template <class... Zeros>
  double weight(std::size_t i, std::size_t one, Zeros... zeros) const {
    return integral(sigmas_[i + 1], rho(i, one), rho(i, static_cast<std::size_t>(zeros))...) -
           integral(sigmas_[i], rho(i, one), rho(i, static_cast<std::size_t>(zeros))...);
  }

  at::Tensor combine(const at::Tensor& sample, std::size_t i,
                     const std::vector<double>& shares) const {
    auto sum = sample / level(i).alpha;
    for (std::size_t age = 0; age < shares.size(); ++age) sum += outputs_[age] * shares[age];
    return sum * level(i + 1).alpha;
  }

  int order_at(std::size_t i) const {
    const auto total = timesteps_.size();
    const bool lower = lower_order_final_ && total < 15;
    if (i + 1 == total && lower) return 1;
    const int limit = i + 2 == total && lower ? std::min(order_, 2) : order_;
    return std::min(limit, static_cast<int>(outputs_.size()));
  }

  std::deque<at::Tensor> outputs_;  ///< newest first
};

}  // namespace

std::unique_ptr<scheduler> make_deis(settings& config) {
  return std::make_unique<deis>(config);
}

}  // namespace lp::engine
