// SPDX-License-Identifier: MIT
// UniPC, a predictor and corrector of any order (arXiv 2302.04867), here 1 to 3 with B(h) of the
// first or second kind.
#include <algorithm>
#include <array>
#include <cmath>
#include <deque>

#include <ATen/TensorOperators.h>

#include "pipelines/engine/schedulers/makers.hpp"
#include "pipelines/engine/schedulers/solver_scheduler.hpp"

namespace lp::engine {

namespace {

constexpr int max_order = 3;
using row = std::array<double, max_order>;

/// Solves the leading n x n part of a * x = b by elimination with row exchange.
row solve(std::array<row, max_order> a, row b, int n) {
  for (int col = 0; col < n; ++col) {
    int pivot = col;
    for (int r = col + 1; r < n; ++r) {
      if (std::abs(a[r][col]) > std::abs(a[pivot][col])) pivot = r;
    }
    std::swap(a[col], a[pivot]);
    std::swap(b[col], b[pivot]);
    for (int r = col + 1; r < n; ++r) {
      const double f = a[r][col] / a[col][col];
      for (int c = col; c < n; ++c) a[r][c] -= f * a[col][c];
      b[r] -= f * b[col];
    }
  }
  row x{};
  for (int r = n - 1; r >= 0; --r) {
    double rest = b[r];
    for (int c = r + 1; c < n; ++c) rest -= a[r][c] * x[c];
    x[r] = rest / a[r][r];
  }
  return x;
}

class unipc final : public solver_scheduler {
 public:
  explicit unipc(settings& config)
      : solver_scheduler(config),
        predicts_clean_(config.flag("predict_x0", true)),
        first_kind_(config.text("solver_type", "bh2",
                                {"bh1", "bh2", "midpoint", "heun", "logrho"}) == "bh1"),
        uncorrected_(config.numbers("disable_corrector")) {
    if (config.number("sigma_min") || config.number("sigma_max"))
      config.complain("sigma_min, sigma_max: not supported for UniPCMultistepScheduler");
    if (ends_at_zero_ && !predicts_clean_)
      config.complain("final_sigmas_type: predict_x0 false needs sigma_min");
  }

  at::Tensor step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                  std::vector<at::Generator>& /*noise*/) override {
    const auto newest = integrand(output, i, sample);
    auto here = sample;
    if (before_.defined() && corrects(i)) here = correct(newest, i);
    outputs_.push_back(newest);
    if (outputs_.size() > static_cast<std::size_t>(order_)) outputs_.pop_front();
    const auto left = static_cast<int>(timesteps_.size() - i);
    last_order_ = std::min(lower_order_final_ ? std::min(order_, left) : order_,
                           static_cast<int>(outputs_.size()));
    before_ = here;
    return predict(here, i);
  }

 protected:
  void forget() override {
    outputs_.clear();
    before_.reset();
    last_order_ = 0;
  }

 private:
  /// The step from call `from` to the next and what its update needs.
  struct update {
    variance_preserving start, end;
    double hh;      ///< the step in lambda, negative for the clean prediction
    double b;       ///< B(h)
    row ratio{};    ///< positions of the older outputs, in steps
    row moments{};  ///< right side of the order conditions
    std::array<row, max_order> powers{};
  };

  update plan(std::size_t from, int order) const {
    update u{level(from), level(from + 1), 0, 0};
    const double h = u.end.lambda - u.start.lambda;
    u.hh = predicts_clean_ ? -h : h;
    u.b = first_kind_ ? u.hh : std::expm1(u.hh);
    for (int k = 1; k < order; ++k) u.ratio[k - 1] = (level(from - k).lambda - u.start.lambda) / h;
    u.ratio[order - 1] = 1;
    double phi = std::expm1(u.hh) / u.hh - 1;
    double factorial = 1;
    for (int k = 0; k < order; ++k) {
      for (int c = 0; c < order; ++c) u.powers[k][c] = std::pow(u.ratio[c], k);
      u.moments[k] = phi * factorial / u.b;
      factorial *= k + 2;
      phi = phi / u.hh - 1 / factorial;
    }
    return u;
  }

  /// The part of an update that needs the newest known output alone.
  at::Tensor base(const update& u, const at::Tensor& sample, const at::Tensor& known) const {
    const double grows = std::expm1(u.hh);
    if (predicts_clean_)
      return sample * (u.end.sigma / u.start.sigma) - known * (u.end.alpha * grows);
    return sample * (u.end.alpha / u.start.alpha) - known * (u.end.sigma * grows);
  }
  double residual_weight(const update& u) const {
    return -(predicts_clean_ ? u.end.alpha : u.end.sigma) * u.b;
  }

  at::Tensor predict(const at::Tensor& sample, std::size_t i) const {
    const auto u = plan(i, last_order_);
    auto next = base(u, sample, outputs_.back());
    // Order 2 takes one half, as the paper's appendix F.
    row rho{0.5};
    if (last_order_ == 3) rho = solve(u.powers, u.moments, last_order_ - 1);
    add_older(next, u, rho, last_order_);
    return next;
  }

  /// The sample of call `i` once more, now that the output there is known.
  at::Tensor correct(const at::Tensor& newest, std::size_t i) const {
    const auto u = plan(i - 1, last_order_);
    auto next = base(u, before_, outputs_.back());
    row rho{0.5};
    if (last_order_ > 1) rho = solve(u.powers, u.moments, last_order_);
    add_older(next, u, rho, last_order_);
    next += (newest - outputs_.back()) * (residual_weight(u) * rho[last_order_ - 1]);
    return next;
  }

  void add_older(at::Tensor& next, const update& u, const row& rho, int order) const {
    const auto n = outputs_.size();
    for (int k = 1; k < order; ++k) {
      const auto difference = (outputs_[n - 1 - k] - outputs_.back()) / u.ratio[k - 1];
      next += difference * (residual_weight(u) * rho[k - 1]);
    }
  }

  at::Tensor integrand(const at::Tensor& output, std::size_t i, const at::Tensor& sample) const {
    const auto here = level(i);
    const auto parts = split_sample(predicts_, output, sample, here.alpha, here.sigma);
    return predicts_clean_ ? keep_range_(parts.clean) : parts.noise;
  }

  bool corrects(std::size_t i) const {
    return std::find(uncorrected_.begin(), uncorrected_.end(), static_cast<double>(i) - 1) ==
           uncorrected_.end();
  }

  bool predicts_clean_;
  bool first_kind_;
  std::vector<double> uncorrected_;
  std::deque<at::Tensor> outputs_;
  at::Tensor before_;  ///< the corrected sample that the last step started from
  int last_order_ = 0;
};

}  // namespace

std::unique_ptr<scheduler> make_unipc(settings& config) {
  return std::make_unique<unipc>(config);
}

}  // namespace lp::engine
