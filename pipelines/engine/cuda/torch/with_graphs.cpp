// SPDX-License-Identifier: MIT
// Calls as CUDA graphs: what takes a thousand launches is queued by one.
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <torch/version.h>

#include "pipelines/engine/cuda/torch/check.hpp"
#include "pipelines/engine/cuda/torch/torch_cuda.hpp"

namespace lp::engine {

namespace {

using pool_id = decltype(at::cuda::graph_pool_handle());

/// What the graphs of one recorder share: a pool of memory, so that they must run one after the
/// other whatever streams they are played on.
class shared_pool {
 public:
  shared_pool() : id_(at::cuda::graph_pool_handle()) {
    check_cuda(cudaEventCreateWithFlags(&last_, cudaEventDisableTiming));
  }
  ~shared_pool() { (void)cudaEventDestroy(last_); }
  shared_pool(const shared_pool&) = delete;
  shared_pool& operator=(const shared_pool&) = delete;

  pool_id id() const { return id_; }
  /// Orders the stream behind the graph before, and the next one behind what is on the stream.
  void begin(cudaStream_t stream) { check_cuda(cudaStreamWaitEvent(stream, last_, 0)); }
  void end(cudaStream_t stream) { check_cuda(cudaEventRecord(last_, stream)); }

 private:
  pool_id id_;
  cudaEvent_t last_ = nullptr;
};

void begin_capture(at::cuda::CUDAGraph& graph, pool_id pool) {
#if TORCH_VERSION_MAJOR >= 2
  // Other threads go on meanwhile, and may take memory of the device.
  graph.capture_begin(pool, cudaStreamCaptureModeThreadLocal);
#else
  graph.capture_begin(pool);
#endif
}

class graph_call final : public recorded_call {
 public:
  /// Throws where the network does something that cannot be recorded.
  graph_call(std::shared_ptr<shared_pool> pool, const network_call& network,
             const std::vector<at::Tensor>& inputs)
      : pool_(std::move(pool)) {
    for (const auto& input : inputs)
      inputs_.push_back(input.defined() ? input.clone() : at::Tensor());
    begin_capture(graph_, pool_->id());
    std::exception_ptr thrown;
    try {
      output_ = network(inputs_);
    } catch (...) {
      thrown = std::current_exception();
    }
    // Ended in any case: the stream takes nothing else before.
    try {
      graph_.capture_end();
    } catch (...) {
      if (!thrown) thrown = std::current_exception();
    }
    if (thrown) std::rethrow_exception(thrown);
  }

  at::Tensor play(const std::vector<at::Tensor>& inputs) override {
    const auto device = output_.device();
    const c10::cuda::CUDAGuard there(device);
    const cudaStream_t stream = c10::cuda::getCurrentCUDAStream(device.index()).stream();
    pool_->begin(stream);
    for (std::size_t i = 0; i < inputs_.size(); ++i)
      if (inputs_[i].defined()) inputs_[i].copy_(inputs[i], /*non_blocking=*/true);
    graph_.replay();
    auto out = output_.clone();
    pool_->end(stream);
    return out;
  }

 private:
  std::shared_ptr<shared_pool> pool_;
  std::vector<at::Tensor> inputs_;
  at::Tensor output_;
  at::cuda::CUDAGraph graph_;
};

class graph_recorder final : public call_recorder {
 public:
  explicit graph_recorder(at::Device device) : device_(device) {}

  std::shared_ptr<recorded_call> record(const network_call& network,
                                        const std::vector<at::Tensor>& inputs) override {
    const c10::cuda::CUDAGuard there(device_);
    // The default stream cannot be recorded.
    if (c10::cuda::getCurrentCUDAStream() == c10::cuda::getDefaultCUDAStream()) return nullptr;
    // 1.13 records what every thread of the process does.
    static std::mutex one_at_a_time;
    const std::lock_guard lock(one_at_a_time);
    try {
      auto pool = pool_.lock();
      if (!pool) pool = std::make_shared<shared_pool>();
      auto made = std::make_shared<graph_call>(pool, network, inputs);
      pool_ = pool;
      return made;
    } catch (const std::exception&) {
      (void)cudaGetLastError();
      return nullptr;
    }
  }

 private:
  at::Device device_;
  /// Kept by the graphs: libtorch takes no recording into a pool that the last one has left.
  std::weak_ptr<shared_pool> pool_;
};

}  // namespace

std::unique_ptr<call_recorder> new_graph_recorder(at::Device device) {
  return std::make_unique<graph_recorder>(device);
}

}  // namespace lp::engine
