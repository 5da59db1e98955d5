// SPDX-License-Identifier: MIT
// Group normalisation with the activation behind it, for channels-last tensors of any type: moments
// in fp32, and two passes of reading and one of writing where libtorch takes five of each. Plain
// pointers: knows no torch.
#pragma once

#include <cstdint>

#include "pipelines/engine/cuda/kernels/gpu_number.hpp"

namespace lp::engine {

/// x [entries, positions, channels] lies without gaps; so does the result, which may be x itself.
struct gpu_group_norm_problem {
  const void* x = nullptr;
  const void* weight = nullptr;  ///< [channels], as x
  const void* bias = nullptr;    ///< [channels], as x
  void* out = nullptr;
  gpu_number type = gpu_number::fp32;
  std::int64_t entries = 0;
  std::int64_t positions = 0;
  std::int64_t channels = 0;  ///< a multiple of groups
  std::int64_t groups = 1;
  float eps = 1e-5F;
  bool silu = false;
};

/// Bytes of working memory on the device.
std::int64_t group_norm_scratch_bytes(const gpu_group_norm_problem& problem);

/// Whether a problem can be computed: sizes as above, and no more channels than fit a block's
/// memory (about 6000).
bool takes_group_norm(const gpu_group_norm_problem& problem);

/// Queues the work on `stream`, a cudaStream_t of the current device. What CUDA said if it could
/// not be queued, else null. Gives the same bits each time.
const char* queue_group_norm(const gpu_group_norm_problem& problem, void* scratch, void* stream);

}  // namespace lp::engine
