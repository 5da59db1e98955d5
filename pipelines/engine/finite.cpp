// SPDX-License-Identifier: MIT
#include "pipelines/engine/finite.hpp"

#include <cmath>

#include <ATen/ops/isfinite.h>

namespace lp::engine {

bool all_finite(const at::Tensor& numbers) {
  if (!numbers.defined() || numbers.numel() == 0 || !at::isFloatingType(numbers.scalar_type()))
    return true;
  if (std::isfinite(numbers.sum(at::kFloat).item<float>())) return true;
  // Large numbers that are finite may have an infinite sum.
  return at::isfinite(numbers).all().item<bool>();
}

}  // namespace lp::engine
