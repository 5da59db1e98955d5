// SPDX-License-Identifier: MIT
// The noise levels a model was trained with, and the ways to pick a few of them for sampling.
//
// Rounding follows the Python libraries that wrote the configurations: betas and cumulative alphas
// are fp32, time steps are made in fp64 and rounded half to even, picked sigmas are fp32 again.
#pragma once

#include <string>
#include <vector>

#include "pipelines/engine/schedulers/settings.hpp"

namespace lp::engine {

/// How the time steps of a run are spread over those of the training; section 3 of "Common
/// Diffusion Noise Schedules and Sample Steps are Flawed" (arXiv 2305.08891) compares them.
enum class spacing { leading, linspace, trailing };

spacing read_spacing(settings& config, std::string_view fallback);

/// The training's schedule, indexed by time step.
class noise_schedule {
 public:
  /// Reads num_train_timesteps, beta_schedule, beta_start, beta_end, trained_betas and
  /// rescale_betas_zero_snr. `keep_last_finite`: with zero terminal SNR the last cumulative alpha
  /// becomes 2^-24 and not 0, for samplers that divide by it.
  noise_schedule(settings& config, bool keep_last_finite);

  int steps() const { return static_cast<int>(alphas_cumprod_.size()); }
  double beta(int t) const { return betas_[at(t)]; }
  /// The cumulative product of 1 - beta up to t; t is held within the schedule.
  double alpha_cumprod(int t) const { return alphas_cumprod_[at(t)]; }
  const std::vector<double>& alphas_cumprod() const { return alphas_cumprod_; }
  /// sqrt((1 - a) / a) of every cumulative alpha: noise over signal, ascending.
  const std::vector<double>& sigmas() const { return sigmas_; }
  double smallest_sigma() const { return sigmas_.front(); }

  /// The sigma at a fractional time, linear between two steps and constant outside.
  double sigma_at(double t) const;
  /// The fractional time of a sigma, linear in log sigma and held within the schedule.
  double time_of(double sigma) const;

 private:
  std::size_t at(int t) const;

  std::vector<double> betas_;
  std::vector<double> alphas_cumprod_;
  std::vector<double> sigmas_;
  std::vector<double> log_sigmas_;
};

/// `count` values from `first` to `last`, both included, as NumPy makes them.
std::vector<double> linspace(double first, double last, int count);

/// Time steps in descending order, spread in `how` over `train` steps. Whole numbers where `whole`,
/// otherwise linspace keeps its fractions.
std::vector<double> spread(spacing how, int train, int count, int offset, bool whole);

/// The variant of DPM-Solver and UniPC: they plan one point more and leave out the last, and
/// `train` may be less than the training's steps (`all`).
std::vector<double> spread_with_end(spacing how, int train, int all, int count, int offset);

/// `count` descending sigmas after Karras et al. (arXiv 2206.00364, eq. 5, rho = 7).
std::vector<double> karras_sigmas(double largest, double smallest, int count);
/// `count` descending sigmas, evenly spread in their logarithm.
std::vector<double> exponential_sigmas(double largest, double smallest, int count);

/// Each value as the nearest fp32.
void round_to_float(std::vector<double>& values);

/// A sigma as the pair with alpha^2 + sigma^2 = 1, and its half log-SNR.
struct variance_preserving {
  explicit variance_preserving(double noise_over_signal);
  double alpha;
  double sigma;
  double lambda;  ///< log(alpha / sigma); infinite for sigma 0
};

}  // namespace lp::engine
