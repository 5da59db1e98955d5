// SPDX-License-Identifier: MIT
#include <cuda_runtime_api.h>

#include "pipelines/engine/cuda/kernels/numbers.hpp"
#include "pipelines/engine/cuda/kernels/pixel_value.hpp"
#include "pipelines/engine/cuda/kernels/rgb8.hpp"

namespace lp::engine {

namespace {

/// A thread a pixel. The pass is bound by reading, which neighbouring threads do side by side.
template <class Number>
__global__ void to_rgb8(const Number* values, gpu_picture p, std::uint8_t* out) {
  const std::int64_t pixel = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (pixel >= p.height * p.width) return;
  const std::int64_t row = pixel / p.width;
  const Number* from = values + row * p.row_stride + (pixel - row * p.width) * p.column_stride;
  for (int channel = 0; channel < 3; ++channel)
    out[pixel * 3 + channel] = decoded_byte(as_float(from[channel * p.channel_stride]));
}

template <class Number>
void launch(const gpu_picture& p, std::uint8_t* out, cudaStream_t stream) {
  constexpr unsigned threads = 256;
  const auto blocks = static_cast<unsigned>((p.height * p.width + threads - 1) / threads);
  to_rgb8<<<blocks, threads, 0, stream>>>(static_cast<const Number*>(p.values), p, out);
}

}  // namespace

const char* queue_rgb8(const gpu_picture& p, std::uint8_t* out, void* stream) {
  if (p.height <= 0 || p.width <= 0) return nullptr;
  auto* const queue = static_cast<cudaStream_t>(stream);
  switch (p.type) {
    case gpu_number::fp32:
      launch<float>(p, out, queue);
      break;
    case gpu_number::fp16:
      launch<__half>(p, out, queue);
      break;
    case gpu_number::bf16:
      launch<__nv_bfloat16>(p, out, queue);
      break;
  }
  const cudaError_t queued = cudaGetLastError();
  return queued == cudaSuccess ? nullptr : cudaGetErrorString(queued);
}

}  // namespace lp::engine
