// SPDX-License-Identifier: MIT
#include "pipelines/engine/schedulers/noise_schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

namespace lp::engine {

namespace {

std::vector<float> linear_betas(double first, double last, int count) {
  const auto exact = linspace(first, last, count);
  return {exact.begin(), exact.end()};
}

/// The cosine schedule of arXiv 2102.09672, capped at 0.999.
std::vector<float> cosine_betas(int count) {
  const auto bar = [](double t) {
    const double c = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
    return c * c;
  };
  std::vector<float> betas(count);
  for (int i = 0; i < count; ++i) {
    const double now = static_cast<double>(i) / count;
    const double next = static_cast<double>(i + 1) / count;
    betas[i] = static_cast<float>(std::min(1 - bar(next) / bar(now), 0.999));
  }
  return betas;
}

std::vector<float> read_betas(settings& config) {
  const int count = config.integer("num_train_timesteps", 1000, 1, 100000);
  if (const auto given = config.numbers("trained_betas"); !given.empty()) {
    return {given.begin(), given.end()};
  }
  const double first = config.number("beta_start", 0.0001);
  const double last = config.number("beta_end", 0.02);
  const auto shape = config.text("beta_schedule", "linear",
                                 {"linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"});
  if (shape == "squaredcos_cap_v2") return cosine_betas(count);
  if (shape == "linear") return linear_betas(first, last, count);
  if (shape == "sigmoid") {
    auto betas = linear_betas(-6, 6, count);
    for (auto& b : betas) b = static_cast<float>((last - first) / (1 + std::exp(-b)) + first);
    return betas;
  }
  auto betas = linear_betas(std::sqrt(first), std::sqrt(last), count);
  for (auto& b : betas) b *= b;
  return betas;
}

std::vector<float> cumulative_alphas(const std::vector<float>& betas) {
  std::vector<float> out;
  out.reserve(betas.size());
  double product = 1;
  for (const float b : betas) {
    product *= 1.0F - b;
    out.push_back(static_cast<float>(product));
  }
  return out;
}

/// Shifts and scales the square roots of the cumulative alphas so that the last becomes 0 and the
/// first stays (algorithm 1 of arXiv 2305.08891).
std::vector<float> rescale_to_zero_snr(const std::vector<float>& betas) {
  auto bars = cumulative_alphas(betas);
  for (auto& b : bars) b = std::sqrt(b);
  const float first = bars.front();
  const float last = bars.back();
  for (auto& b : bars) {
    b = (b - last) * (first / (first - last));
    b *= b;
  }
  std::vector<float> out(bars.size());
  out[0] = 1 - bars[0];
  for (std::size_t i = 1; i < bars.size(); ++i) out[i] = 1 - bars[i] / bars[i - 1];
  return out;
}

/// NumPy's arange(first, 0, -width): the width it uses has been rounded once by `first - width`.
std::vector<double> count_down(double first, double width) {
  const auto count = static_cast<int>(std::ceil(first / width));
  const double delta = (first - width) - first;
  std::vector<double> out(count);
  for (int i = 0; i < count; ++i) out[i] = first + i * delta;
  return out;
}

std::vector<double> trailing(int last, int all, int count) {
  auto out = count_down(last, static_cast<double>(all) / count);
  for (auto& t : out) t = std::nearbyint(t) - 1;
  return out;
}

}  // namespace

spacing read_spacing(settings& config, std::string_view fallback) {
  const auto name = config.text("timestep_spacing", fallback, {"leading", "linspace", "trailing"});
  if (name == "linspace") return spacing::linspace;
  return name == "trailing" ? spacing::trailing : spacing::leading;
}

noise_schedule::noise_schedule(settings& config, bool keep_last_finite) {
  auto betas = read_betas(config);
  if (std::any_of(betas.begin(), betas.end(), [](float b) { return !(b > 0 && b < 1); })) {
    config.complain("beta_start, beta_end, trained_betas: every beta must lie between 0 and 1");
    betas.assign(1, 0.5F);
  }
  const bool zero_snr = config.flag("rescale_betas_zero_snr", false);
  if (zero_snr && betas.size() > 1) betas = rescale_to_zero_snr(betas);
  auto bars = cumulative_alphas(betas);
  if (zero_snr && keep_last_finite) bars.back() = 0x1p-24F;
  for (const float b : bars) {
    const float sigma = std::sqrt((1 - b) / b);
    alphas_cumprod_.push_back(b);
    sigmas_.push_back(sigma);
    log_sigmas_.push_back(std::log(sigma));
  }
  betas_.assign(betas.begin(), betas.end());
}

std::size_t noise_schedule::at(int t) const {
  return static_cast<std::size_t>(std::clamp(t, 0, steps() - 1));
}

double noise_schedule::sigma_at(double t) const {
  const double held = std::clamp(t, 0.0, static_cast<double>(steps() - 1));
  const auto low = static_cast<std::size_t>(held);
  if (low + 1 >= sigmas_.size()) return sigmas_.back();
  return sigmas_[low] + (sigmas_[low + 1] - sigmas_[low]) * (held - static_cast<double>(low));
}

double noise_schedule::time_of(double sigma) const {
  if (log_sigmas_.size() < 2) return 0;
  const double wanted = std::log(std::max(sigma, 1e-10));
  const auto above = std::upper_bound(log_sigmas_.begin(), log_sigmas_.end(), wanted);
  const auto index =
      std::clamp<std::ptrdiff_t>(above - log_sigmas_.begin() - 1, 0, std::ssize(log_sigmas_) - 2);
  const double low = log_sigmas_[index];
  const double high = log_sigmas_[index + 1];
  const double w = std::clamp((low - wanted) / (low - high), 0.0, 1.0);
  return (1 - w) * static_cast<double>(index) + w * static_cast<double>(index + 1);
}

std::vector<double> linspace(double first, double last, int count) {
  std::vector<double> out(count);
  const double width = count > 1 ? (last - first) / (count - 1) : 0;
  for (int i = 0; i < count; ++i) out[i] = i * width + first;
  if (count > 1) out.back() = last;
  return out;
}

std::vector<double> spread(spacing how, int train, int count, int offset, bool whole) {
  if (how == spacing::trailing) return trailing(train, train, count);
  std::vector<double> out;
  if (how == spacing::linspace) {
    out = linspace(0, train - 1, count);
    if (whole)
      std::transform(out.begin(), out.end(), out.begin(),
                     [](double t) { return std::nearbyint(t); });
  } else {
    const int width = train / count;
    for (int i = 0; i < count; ++i) out.push_back(i * width + offset);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<double> spread_with_end(spacing how, int train, int all, int count, int offset) {
  if (how == spacing::trailing) return trailing(train, all, count);
  auto out = spread(how, train, count + 1, offset, true);
  out.pop_back();
  return out;
}

std::vector<double> karras_sigmas(double largest, double smallest, int count) {
  constexpr double rho = 7;
  const double top = std::pow(largest, 1 / rho);
  const double bottom = std::pow(smallest, 1 / rho);
  auto out = linspace(0, 1, count);
  for (auto& s : out) s = std::pow(top + s * (bottom - top), rho);
  return out;
}

std::vector<double> exponential_sigmas(double largest, double smallest, int count) {
  auto out = linspace(std::log(largest), std::log(smallest), count);
  for (auto& s : out) s = std::exp(s);
  return out;
}

void round_to_float(std::vector<double>& values) {
  for (auto& v : values) v = static_cast<float>(v);
}

variance_preserving::variance_preserving(double noise_over_signal)
    : alpha(1 / std::sqrt(noise_over_signal * noise_over_signal + 1)),
      sigma(noise_over_signal * alpha),
      lambda(-std::log(noise_over_signal)) {}

}  // namespace lp::engine
