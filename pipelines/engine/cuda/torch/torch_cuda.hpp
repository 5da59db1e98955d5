// SPDX-License-Identifier: MIT
// What of libtorch is there only in builds with CUDA. One of two definitions of each function is
// built: with_*.cpp beside a libtorch with CUDA, without_cuda.cpp beside all others, where nothing
// of this is ever called with a GPU. Whatever libtorch's common headers can do (streams, copies,
// pinned memory) is not here.
//
// These files compile against libtorch 1.13 and 2.x.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

namespace lp::engine {

/// Whether the rest of this file does anything here.
bool has_torch_cuda();

/// Bytes of tensors on a GPU, of this process.
struct gpu_memory_figures {
  std::uint64_t in_use = 0;
  std::uint64_t peak = 0;      ///< since reset_gpu_memory_peak()
  std::uint64_t reserved = 0;  ///< what libtorch took from the device, at its highest
};

/// Nothing of a device that is no GPU.
gpu_memory_figures gpu_memory(at::Device device);
void reset_gpu_memory_peak(at::Device device);

/// Gives memory that no tensor uses back to the device: after unloading. Waits for what is queued.
void trim_gpu_memory();

/// Waits until all that was queued on the device, by any thread, is done.
void wait_for_gpu(at::Device device);

/// What a loop calls after each round it has queued: waits, without using up the processor, until
/// no more than `under_way` rounds of this thread are left to do. So the loop stays ahead of the
/// GPU, which never idles, and only a little: what is queued can be neither called back nor joined.
void end_round(at::Device device, std::size_t under_way);

/// decoded_pixels() (pixels.hpp) on the GPU: uint8 [h, w, 3] in pinned memory of the host.
at::Tensor gpu_rgb8(const at::Tensor& decoded);

/// Group normalisation of x [N, channels, H, W], followed by silu where that is asked, moments in
/// fp32 whatever x is; the result is channels-last and of x's type, as weight and bias have to be.
/// Undefined where our kernel does not take it.
at::Tensor gpu_group_norm(const at::Tensor& x, std::int64_t groups, const at::Tensor& weight,
                          const at::Tensor& bias, double eps, bool silu);

/// A network as a function of its inputs; those that it does not take are undefined.
using network_call = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

/// A call that was recorded for inputs of certain shapes, and is played back for others of
/// the same.
class recorded_call {
 public:
  virtual ~recorded_call() = default;
  /// The output, a tensor of its own.
  virtual at::Tensor play(const std::vector<at::Tensor>& inputs) = 0;
};

/// Records calls on one device. All that one recorder recorded shares its working memory.
class call_recorder {
 public:
  virtual ~call_recorder() = default;
  /// Null where the call cannot be recorded. The network has computed such inputs before, so that
  /// libraries have made their choices and taken their working memory.
  virtual std::shared_ptr<recorded_call> record(const network_call& network,
                                                const std::vector<at::Tensor>& inputs) = 0;
};

/// A recorder of CUDA graphs; null where there are none.
std::unique_ptr<call_recorder> new_graph_recorder(at::Device device);

}  // namespace lp::engine
