// SPDX-License-Identifier: MIT
// The numbers that networks compute in, to and from fp32. For files that nvcc compiles, and tests.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "pipelines/engine/cuda/kernels/pixel_value.hpp"

namespace lp::engine {

LP_HOST_DEVICE inline float as_float(float x) {
  return x;
}
LP_HOST_DEVICE inline float as_float(__half x) {
  return __half2float(x);
}
LP_HOST_DEVICE inline float as_float(__nv_bfloat16 x) {
  return __bfloat162float(x);
}

LP_HOST_DEVICE inline void store(float& to, float x) {
  to = x;
}
LP_HOST_DEVICE inline void store(__half& to, float x) {
  to = __float2half(x);
}
LP_HOST_DEVICE inline void store(__nv_bfloat16& to, float x) {
  to = __float2bfloat16(x);
}

}  // namespace lp::engine
