// SPDX-License-Identifier: MIT
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "pipelines/engine/cuda/kernels/rgb8.hpp"
#include "pipelines/engine/cuda/torch/gpu_number_of.hpp"
#include "pipelines/engine/cuda/torch/torch_cuda.hpp"

namespace lp::engine {

at::Tensor gpu_rgb8(const at::Tensor& decoded) {
  TORCH_CHECK(
      decoded.dim() == 4 && decoded.size(0) == 1 && (decoded.size(1) == 3 || decoded.size(1) == 1),
      "expected one picture of 3 channels or 1, got ", decoded.sizes());
  const auto device = decoded.device();
  const c10::cuda::CUDAGuard there(device);
  const auto bytes = at::TensorOptions(at::kByte);
  const at::IntArrayRef sides = decoded.sizes().slice(2);
  const auto made = at::empty({sides[0], sides[1], 3}, bytes.device(device));
  const gpu_picture picture{
      decoded.data_ptr(), gpu_number_of(decoded.scalar_type()),         sides[0],
      sides[1],           decoded.size(1) == 3 ? decoded.stride(1) : 0, decoded.stride(2),
      decoded.stride(3)};
  const auto stream = c10::cuda::getCurrentCUDAStream(device.index());
  const char* refused = queue_rgb8(picture, made.data_ptr<std::uint8_t>(), stream.stream());
  TORCH_CHECK(refused == nullptr, "CUDA: ", refused);
  auto out = at::empty(made.sizes(), bytes.pinned_memory(true));
  out.copy_(made, /*non_blocking=*/true);
  end_round(device, 0);
  return out;
}

}  // namespace lp::engine
