// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/core/Tensor.h>

namespace lp::engine {

/// Whether no number is NaN or infinite. Costs about a sum of the numbers: it is their sum that is
/// looked at first, in which a number that is not finite stays. Waits for a GPU's tensor.
bool all_finite(const at::Tensor& numbers);

}  // namespace lp::engine
