// SPDX-License-Identifier: MIT
#pragma once

#include <c10/util/Exception.h>
#include <cuda_runtime_api.h>

namespace lp::engine {

/// Throws c10::Error with CUDA's words unless the call went well; where memory was not to be had it
/// is c10::OutOfMemoryError.
inline void check_cuda(cudaError_t outcome) {
  if (outcome == cudaSuccess) return;
  (void)cudaGetLastError();  // else the next call would be told the same
  TORCH_CHECK_WITH(OutOfMemoryError, outcome != cudaErrorMemoryAllocation, "CUDA: out of memory");
  TORCH_CHECK(false, "CUDA: ", cudaGetErrorString(outcome));
}

}  // namespace lp::engine
