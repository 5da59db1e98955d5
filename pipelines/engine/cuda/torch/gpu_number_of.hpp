// SPDX-License-Identifier: MIT
#pragma once

#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

#include "pipelines/engine/cuda/kernels/gpu_number.hpp"

namespace lp::engine {

/// Throws for types that our kernels do not take.
inline gpu_number gpu_number_of(at::ScalarType type) {
  if (type == at::kHalf) return gpu_number::fp16;
  if (type == at::kBFloat16) return gpu_number::bf16;
  TORCH_CHECK(type == at::kFloat, "no kernel for numbers of type ", at::toString(type));
  return gpu_number::fp32;
}

}  // namespace lp::engine
