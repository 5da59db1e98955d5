// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

#include "tools/golden-runner/golden_case.hpp"

namespace lp::goldens {

/// How far a tensor is from what was expected.
struct distance {
  double worst =
      0;  ///< |got - expected| where it exceeds its limit most; infinite if not comparable
  double share = 0;   ///< the same as a multiple of the limit: above 1 fails
  std::string where;  ///< that element's index, or why nothing could be compared

  bool passed() const { return share <= 1; }
};

/// Integers and truth values must be equal whatever their width; a floating tensor may stand for
/// expected integers. Where a NaN was recorded the reference itself had broken down (a solver's
/// logarithm of a last noise level of zero), and any value passes.
distance compare(const at::Tensor& got, const expectation& expected);

}  // namespace lp::goldens
