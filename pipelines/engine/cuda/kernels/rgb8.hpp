// SPDX-License-Identifier: MIT
// A decoded picture to interleaved 8-bit RGB on a GPU, in one pass. Plain pointers: knows no torch.
#pragma once

#include <cstdint>

#include "pipelines/engine/cuda/kernels/gpu_number.hpp"

namespace lp::engine {

/// A decoded picture in a GPU's memory, numbers in [-1, 1]; strides in numbers, so that both planes
/// and channels-last can be told.
struct gpu_picture {
  const void* values = nullptr;
  gpu_number type = gpu_number::fp32;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channel_stride = 0;  ///< 0: grey, which gives all three
  std::int64_t row_stride = 0;
  std::int64_t column_stride = 1;
};

/// Queues the work on `stream`, a cudaStream_t of the current device: `out` receives height * width
/// * 3 bytes, as decoded_byte() makes them. What CUDA said if it could not be queued, else null.
const char* queue_rgb8(const gpu_picture& picture, std::uint8_t* out, void* stream);

}  // namespace lp::engine
