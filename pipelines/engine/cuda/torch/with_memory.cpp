// SPDX-License-Identifier: MIT
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

#include "pipelines/engine/cuda/torch/check.hpp"
#include "pipelines/engine/cuda/torch/torch_cuda.hpp"

namespace lp::engine {

namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

/// libtorch counts small and large blocks apart, and here both.
constexpr std::size_t of_all = 0;

std::uint64_t bytes(std::int64_t count) {
  return count > 0 ? static_cast<std::uint64_t>(count) : 0;
}

/// libtorch keeps account of a device from its first tensor on.
void make_known(at::Device device) {
  (void)at::empty({0}, at::TensorOptions(at::kByte).device(device));
}

}  // namespace

bool has_torch_cuda() {
  return true;
}

gpu_memory_figures gpu_memory(at::Device device) {
  if (!device.is_cuda()) return {};
  make_known(device);
  const auto stats = allocator::getDeviceStats(device.index());
  return {bytes(stats.allocated_bytes[of_all].current), bytes(stats.allocated_bytes[of_all].peak),
          bytes(stats.reserved_bytes[of_all].peak)};
}

void reset_gpu_memory_peak(at::Device device) {
  if (!device.is_cuda()) return;
  make_known(device);
  allocator::resetPeakStats(device.index());
}

void trim_gpu_memory() {
  allocator::emptyCache();
}

void wait_for_gpu(at::Device device) {
  const c10::cuda::CUDAGuard there(device);
  check_cuda(cudaDeviceSynchronize());
}

}  // namespace lp::engine
