// SPDX-License-Identifier: MIT
// Diffusion samplers. A scheduler turns a network's outputs into the next, less noisy sample.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <boost/json/object.hpp>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// What the network is trained to predict.
enum class prediction { epsilon, v, sample };

class scheduler {
 public:
  virtual ~scheduler() = default;

  /// Plans `steps` denoising steps; resets all state of a run. At least 1.
  virtual result<void> set_timesteps(int steps) = 0;

  /// Plans the part of `steps` that redraws an image with `strength`, and returns the first call to
  /// make: all noise is strength 1. ec::invalid_parameters where not even one step is left.
  virtual result<std::size_t> set_timesteps_from(int steps, double strength);

  /// Calls of the network that a step takes.
  virtual int calls_per_step() const { return 1; }

  /// Times at which the network is called, in order. May be longer than `steps` (PNDM, Heun).
  const std::vector<double>& timesteps() const { return timesteps_; }

  /// Noise levels of the calls and of the end, one more than timesteps(); empty for the samplers
  /// that work on cumulative alphas (DDIM, PNDM, LCM).
  const std::vector<double>& sigmas() const { return sigmas_; }

  /// How much noise a step adds anew: DDIM's eta (0: none, 1: as DDPM) and TCD's gamma. Other
  /// samplers ignore it. Holds for all later runs.
  void set_eta(double eta) { eta_ = eta; }

  /// Standard deviation of the initial noise.
  virtual double init_noise_sigma() const { return 1.0; }

  /// What the network sees at call `i` of timesteps().
  virtual at::Tensor scale_model_input(const at::Tensor& sample, std::size_t /*i*/) const {
    return sample;
  }

  /// The sample after call `i`. Called with increasing i without gaps; the first may be above 0
  /// when an image is the start. `noise` draws for the samplers that add noise, as draw_noise().
  /// The result lies on the sample's device, which nothing here waits for.
  virtual at::Tensor step(const at::Tensor& model_output, std::size_t i, const at::Tensor& sample,
                          std::vector<at::Generator>& noise) = 0;

  /// The clean sample that the last step() foresaw; undefined for samplers that do not tell it.
  const at::Tensor& pred_original() const { return pred_original_; }

  /// `original` with noise of the strength of call `i`.
  virtual at::Tensor add_noise(const at::Tensor& original, const at::Tensor& noise,
                               std::size_t i) const = 0;

  /// The same for a time of the training instead of a call; for samplers on cumulative alphas, the
  /// others throw.
  virtual at::Tensor add_noise_at(const at::Tensor& original, const at::Tensor& noise,
                                  int time) const;

 protected:
  std::vector<double> timesteps_;
  std::vector<double> sigmas_;
  double eta_ = 0;
  at::Tensor pred_original_;
};

/// Builds the scheduler of a scheduler_config.json (read it with read_python_json_file()).
/// `class_name` overrides the file's `_class_name` where it is not empty. Unknown classes are
/// ec::bad_file and list the known ones.
result<std::unique_ptr<scheduler>> make_scheduler(const boost::json::object& config,
                                                  std::string_view class_name = {});

/// The configuration with another sampler in its place: `name` is a class or a short name as
/// "euler_a", "dpm++_2m_karras", "unipc". ec::invalid_parameters lists the short ones.
result<boost::json::object> choose_scheduler(const boost::json::object& config,
                                             std::string_view name);

/// The steps that a run of `steps` makes when it begins with an image: `run` of them, from step
/// `first`. The product is truncated, as in Python: 50 steps at 0.58 are 28.
struct partial_run {
  int run = 0;
  int first = 0;
};
partial_run part_of(int steps, double strength);

/// Whether make_scheduler() can build that class.
bool knows_scheduler(std::string_view class_name);

/// Normal noise of `shape` (first dimension: pictures), one generator a picture, drawn in fp32 as
/// PyTorch's CPU generator does; with a single generator it draws the whole shape at once.
at::Tensor draw_noise(at::IntArrayRef shape, std::vector<at::Generator>& generators);

/// The same of a sample's shape, on its device. The numbers are the CPU's in any case, so that a
/// seed means the same picture everywhere.
at::Tensor draw_noise_for(const at::Tensor& sample, std::vector<at::Generator>& generators);

}  // namespace lp::engine
