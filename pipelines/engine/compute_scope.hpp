// SPDX-License-Identifier: MIT
#pragma once

#include <c10/core/Device.h>
#include <c10/core/StreamGuard.h>

#include "pipelines/device.hpp"

namespace lp::engine {

/// Lets this thread's computations use the device's threads: its number, or all the machine has.
void use_threads(const pipelines::device& where);

/// libtorch's name of it.
at::Device torch_device(const pipelines::device& where);

/// While it lives, this thread computes as a worker of that device does: on the CPU with its number
/// of threads, on a GPU in a stream of the thread's own, so that workers of one GPU do not wait for
/// each other. Results of one scope are in order with those of the thread's next one.
class compute_scope {
 public:
  explicit compute_scope(const pipelines::device& where);

 private:
  c10::OptionalStreamGuard stream_;
};

/// For destructors: waits for what is queued on a GPU; gives memory that no tensor uses back to it.
/// Nothing on other devices. What fails is not told.
void settle(at::Device device) noexcept;
void give_back_memory(at::Device device) noexcept;

}  // namespace lp::engine
