// SPDX-License-Identifier: MIT
#include "pipelines/engine/compute_scope.hpp"

#include <algorithm>
#include <map>
#include <thread>

#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "pipelines/engine/cuda/torch/torch_cuda.hpp"
#include "pipelines/engine/guarded.hpp"

namespace lp::engine {

namespace {

c10::Stream own_stream(at::Device device) {
  thread_local std::map<c10::DeviceIndex, c10::Stream> streams;
  const auto there = streams.find(device.index());
  if (there != streams.end()) return there->second;
  const c10::impl::VirtualGuardImpl gpus(device.type());
  return streams.emplace(device.index(), gpus.getStreamFromGlobalPool(device)).first->second;
}

}  // namespace

void use_threads(const pipelines::device& where) {
  const int all = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const int wanted = where.threads > 0 ? where.threads : all;
  // Setting it rebuilds a thread pool, so only where it changes something.
  if (at::get_num_threads() != wanted) at::set_num_threads(wanted);
}

at::Device torch_device(const pipelines::device& where) {
  if (where.type != pipelines::device::kind::cuda) return at::kCPU;
  return {at::kCUDA, static_cast<c10::DeviceIndex>(where.index)};
}

compute_scope::compute_scope(const pipelines::device& where) {
  use_threads(where);
  if (where.type == pipelines::device::kind::cuda)
    stream_.reset_stream(own_stream(torch_device(where)));
}

void settle(at::Device device) noexcept {
  if (device.is_cuda())
    (void)guarded([&]() -> result<void> {
      wait_for_gpu(device);
      return {};
    });
}

void give_back_memory(at::Device device) noexcept {
  if (device.is_cuda())
    (void)guarded([]() -> result<void> {
      trim_gpu_memory();
      return {};
    });
}

}  // namespace lp::engine
