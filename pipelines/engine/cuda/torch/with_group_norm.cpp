// SPDX-License-Identifier: MIT
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "pipelines/engine/cuda/kernels/group_norm.hpp"
#include "pipelines/engine/cuda/torch/gpu_number_of.hpp"
#include "pipelines/engine/cuda/torch/torch_cuda.hpp"

namespace lp::engine {

at::Tensor gpu_group_norm(const at::Tensor& x, std::int64_t groups, const at::Tensor& weight,
                          const at::Tensor& bias, double eps, bool silu) {
  if (x.dim() != 4 || !at::isFloatingType(x.scalar_type()) || x.scalar_type() == at::kDouble ||
      weight.scalar_type() != x.scalar_type() || bias.scalar_type() != x.scalar_type())
    return {};
  const c10::cuda::CUDAGuard there(x.device());
  const auto from = x.contiguous(at::MemoryFormat::ChannelsLast);
  const auto factors = weight.contiguous(), offsets = bias.contiguous();
  gpu_group_norm_problem problem{.x = from.data_ptr(),
                                 .weight = factors.data_ptr(),
                                 .bias = offsets.data_ptr(),
                                 .out = nullptr,
                                 .type = gpu_number_of(x.scalar_type()),
                                 .entries = x.size(0),
                                 .positions = x.size(2) * x.size(3),
                                 .channels = x.size(1),
                                 .groups = groups,
                                 .eps = static_cast<float>(eps),
                                 .silu = silu};
  if (!takes_group_norm(problem)) return {};
  auto out = at::empty(from.sizes(), from.options(), at::MemoryFormat::ChannelsLast);
  problem.out = out.data_ptr();
  const auto scratch =
      at::empty({group_norm_scratch_bytes(problem)}, from.options().dtype(at::kByte));
  const auto stream = c10::cuda::getCurrentCUDAStream(x.device().index());
  const char* refused = queue_group_norm(problem, scratch.data_ptr(), stream.stream());
  TORCH_CHECK(refused == nullptr, "CUDA: ", refused);
  return out;
}

}  // namespace lp::engine
