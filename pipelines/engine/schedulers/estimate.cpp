// SPDX-License-Identifier: MIT
#include "pipelines/engine/schedulers/estimate.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/quantile.h>

namespace lp::engine {

estimate split_sample(prediction what, const at::Tensor& output, const at::Tensor& sample,
                      double alpha, double sigma) {
  if (what == prediction::v)
    return {sample * alpha - output * sigma, output * alpha + sample * sigma};
  if (what == prediction::sample) return {output, (sample - output * alpha) / sigma};
  return {(sample - output * sigma) / alpha, output};
}

range_keeper::range_keeper(settings& config, bool clips_by_default)
    : clips_(config.flag("clip_sample", clips_by_default)),
      thresholds_(config.flag("thresholding", false)),
      clip_range_(config.number("clip_sample_range", 1.0)),
      ratio_(config.number("dynamic_thresholding_ratio", 0.995)),
      largest_(config.number("sample_max_value", 1.0)) {
  if (!(ratio_ >= 0 && ratio_ <= 1))
    config.complain("dynamic_thresholding_ratio: expected a number from 0 to 1");
}

at::Tensor range_keeper::operator()(const at::Tensor& clean) const {
  if (thresholds_) {
    const auto flat = clean.reshape({clean.size(0), -1});
    const auto limit = at::quantile(flat.abs(), ratio_, 1, true).clamp(1.0, largest_);
    return (flat.maximum(-limit).minimum(limit) / limit).reshape(clean.sizes());
  }
  return clips_ ? clean.clamp(-clip_range_, clip_range_) : clean;
}

}  // namespace lp::engine
