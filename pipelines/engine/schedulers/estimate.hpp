// SPDX-License-Identifier: MIT
// From a network's output to the clean sample and the noise that it implies.
#pragma once

#include <ATen/core/Tensor.h>

#include "pipelines/engine/schedulers/settings.hpp"

namespace lp::engine {

/// The two parts of sample = alpha * clean + sigma * noise.
struct estimate {
  at::Tensor clean;
  at::Tensor noise;
};

/// `alpha` and `sigma` are those of the sample, with alpha^2 + sigma^2 = 1.
estimate split_sample(prediction what, const at::Tensor& output, const at::Tensor& sample,
                      double alpha, double sigma);

/// What keeps a foreseen clean sample in range: clip_sample, or the dynamic thresholding of Imagen
/// (arXiv 2205.11487, section 2.3), or nothing.
class range_keeper {
 public:
  /// Reads clip_sample (with that default), clip_sample_range, thresholding,
  /// dynamic_thresholding_ratio and sample_max_value.
  range_keeper(settings& config, bool clips_by_default);

  at::Tensor operator()(const at::Tensor& clean) const;
  bool thresholds() const { return thresholds_; }

 private:
  bool clips_;
  bool thresholds_;
  double clip_range_;
  double ratio_;
  double largest_;
};

}  // namespace lp::engine
