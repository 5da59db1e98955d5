// SPDX-License-Identifier: MIT
#include <deque>
#include <map>
#include <utility>

#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include "pipelines/engine/cuda/torch/check.hpp"
#include "pipelines/engine/cuda/torch/torch_cuda.hpp"

namespace lp::engine {

namespace {

/// A place in a stream that can be waited for. Whoever waits sleeps.
class mark {
 public:
  explicit mark(cudaStream_t stream) {
    check_cuda(cudaEventCreateWithFlags(&event_, cudaEventBlockingSync | cudaEventDisableTiming));
    const cudaError_t recorded = cudaEventRecord(event_, stream);
    if (recorded != cudaSuccess) (void)cudaEventDestroy(event_);
    check_cuda(recorded);
  }
  ~mark() {
    if (event_ != nullptr) (void)cudaEventDestroy(event_);
  }
  mark(mark&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  mark(const mark&) = delete;
  mark& operator=(const mark&) = delete;
  mark& operator=(mark&&) = delete;

  void wait() const { check_cuda(cudaEventSynchronize(event_)); }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace

void end_round(at::Device device, std::size_t under_way) {
  thread_local std::map<c10::DeviceIndex, std::deque<mark>> rounds;
  const c10::cuda::CUDAGuard there(device);
  auto& here = rounds[device.index()];
  here.emplace_back(c10::cuda::getCurrentCUDAStream(device.index()).stream());
  while (here.size() > under_way) {
    const mark oldest = std::move(here.front());
    here.pop_front();
    oldest.wait();
  }
}

}  // namespace lp::engine
