// SPDX-License-Identifier: MIT
// Pseudo Numerical Methods for Diffusion Models, arXiv 2202.09778: linear multistep (PLMS), started
// by pseudo Runge-Kutta steps or, with skip_prk_steps, by one repeated time step.
#include <algorithm>
#include <cmath>
#include <deque>

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include "pipelines/engine/schedulers/alpha_scheduler.hpp"
#include "pipelines/engine/schedulers/makers.hpp"

namespace lp::engine {

namespace {

/// Calls of the Runge-Kutta start: three steps of four calls.
constexpr std::size_t runge_kutta_calls = 12;

class pndm final : public alpha_scheduler {
 public:
  pndm(settings& config, bool skip_runge_kutta)
      : alpha_scheduler(config),
        skip_runge_kutta_(skip_runge_kutta),
        spacing_(read_spacing(config, "leading")),
        offset_(config.integer("steps_offset", 0, 0, 1000)) {
    // This sampler's own default differs from the others'.
    if (!config.flag("set_alpha_to_one", false)) final_alpha_ = schedule_.alpha_cumprod(0);
    if (predicts_ == prediction::sample)
      config.complain("prediction_type: PNDMScheduler takes epsilon and v_prediction");
  }

  result<void> set_timesteps(int steps) override {
    if (auto ok = check_step_count(steps, skip_runge_kutta_ ? 1 : 4, schedule_.steps()); !ok)
      return ok;
    width_ = schedule_.steps() / steps;
    outputs_.clear();
    calls_ = 0;
    const auto plain = spread(spacing_, schedule_.steps(), steps, offset_, true);
    return accept(skip_runge_kutta_ ? with_repeat(plain) : with_runge_kutta(plain));
  }

  at::Tensor step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                  std::vector<at::Generator>& /*noise*/) override {
    const auto call = calls_++;
    if (!skip_runge_kutta_ && call < runge_kutta_calls)
      return runge_kutta_step(output, i, sample, call);
    return multistep(output, i, sample, call);
  }

 private:
  static std::vector<double> with_repeat(std::vector<double> times) {
    if (times.size() > 1) times.insert(times.begin() + 1, times[1]);
    return times;
  }

  /// The first three steps become t, t - h/2, t - h/2, t - h, where the end of one is the start of
  /// the next.
  std::vector<double> with_runge_kutta(const std::vector<double>& times) const {
    std::vector<double> out;
    const int half = width_ / 2;
    for (std::size_t k = 0; k < 3; ++k) {
      const double middle = times[k + 1] + half;
      out.insert(out.end(), {times[k], middle, middle, times[k + 1]});
    }
    out.insert(out.end(), times.begin() + 3, times.end());
    return out;
  }

  at::Tensor runge_kutta_step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                              std::size_t call) {
    const auto stage = call % 4;
    const int start = time(i - std::min(i, stage));
    const int target = time(i) - (stage % 2 == 1 ? 0 : width_ / 2);
    if (stage == 0) {
      sum_ = output / 6;
      outputs_.push_back(output);
      start_ = sample;
      return advance(start_, start, target, output);
    }
    if (stage == 3) return advance(start_, start, target, sum_ + output / 6);
    sum_ = sum_ + output / 3;
    return advance(start_, start, target, output);
  }

  at::Tensor multistep(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                       std::size_t call) {
    if (call == 1) {
      // The repeated time step: the first step done again with the mean of both slopes.
      const auto mean = (output + outputs_.back()) / 2;
      return advance(start_, time(i) + width_, time(i), mean);
    }
    outputs_.push_back(output);
    if (outputs_.size() > 4) outputs_.pop_front();
    start_ = sample;
    return advance(sample, time(i), time(i) - width_, slope());
  }

  /// Adams-Bashforth of as many outputs as there are, newest last.
  at::Tensor slope() const {
    const auto n = outputs_.size();
    const auto at_age = [&](std::size_t age) { return outputs_[n - 1 - age]; };
    if (n == 1) return at_age(0);
    if (n == 2) return (at_age(0) * 3 - at_age(1)) / 2;
    if (n == 3) return (at_age(0) * 23 - at_age(1) * 16 + at_age(2) * 5) / 12;
    return (at_age(0) * 55 - at_age(1) * 59 + at_age(2) * 37 - at_age(3) * 9) / 24;
  }

  /// Eq. 9 of the paper.
  at::Tensor advance(const at::Tensor& sample, int from, int to, const at::Tensor& output) const {
    const double alpha = schedule_.alpha_cumprod(from);
    const double next = alpha_before_or_at(to);
    const auto noise = predicts_ == prediction::v
                           ? output * std::sqrt(alpha) + sample * std::sqrt(1 - alpha)
                           : output;
    const double divisor = alpha * std::sqrt(1 - next) + std::sqrt(alpha * (1 - alpha) * next);
    return sample * std::sqrt(next / alpha) - noise * ((next - alpha) / divisor);
  }

  bool skip_runge_kutta_;
  spacing spacing_;
  int offset_;
  int width_ = 1;
  std::size_t calls_ = 0;
  std::deque<at::Tensor> outputs_;
  at::Tensor sum_;
  at::Tensor start_;
};

}  // namespace

std::unique_ptr<scheduler> make_pndm(settings& config) {
  return std::make_unique<pndm>(config, config.flag("skip_prk_steps", false));
}

}  // namespace lp::engine
