// SPDX-License-Identifier: MIT
#include <c10/util/Exception.h>

#include "pipelines/engine/cuda/torch/torch_cuda.hpp"

namespace lp::engine {

bool has_torch_cuda() {
  return false;
}

gpu_memory_figures gpu_memory(at::Device /*device*/) {
  return {};
}
void reset_gpu_memory_peak(at::Device /*device*/) {}
void trim_gpu_memory() {}
void wait_for_gpu(at::Device /*device*/) {}
void end_round(at::Device /*device*/, std::size_t /*under_way*/) {}

at::Tensor gpu_rgb8(const at::Tensor& /*decoded*/) {
  TORCH_CHECK(false, "this program was built without a libtorch for GPUs");
}

at::Tensor gpu_group_norm(const at::Tensor& /*x*/, std::int64_t /*groups*/,
                          const at::Tensor& /*weight*/, const at::Tensor& /*bias*/, double /*eps*/,
                          bool /*silu*/) {
  return {};
}

std::unique_ptr<call_recorder> new_graph_recorder(at::Device /*device*/) {
  return nullptr;
}

}  // namespace lp::engine
