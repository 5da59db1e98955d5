// SPDX-License-Identifier: MIT
// Where the CPU's tensors lie: large ones in huge pages, all of them counted, and no more of them
// than the process is allowed.
#pragma once

#include <cstdint>

namespace lp::engine {

/// Bytes of tensors that the process made; what lies in mapped files is not among them.
struct tensor_memory_figures {
  std::uint64_t in_use = 0;
  std::uint64_t peak = 0;  ///< since reset_tensor_memory_peak()
};

/// From now on libtorch and oneDNN take CPU memory here. Once a process, before the first tensor
/// where that can be; further calls do nothing. Not while another thread makes tensors.
void use_tensor_memory();

tensor_memory_figures tensor_memory();
void reset_tensor_memory_peak();

/// An allocation that would bring the tensors above so many bytes fails as one for which the system
/// has no memory does: c10::Error, which guarded() makes ec::out_of_memory. 0: no limit.
void limit_tensor_memory(std::uint64_t bytes);

/// Gives freed memory back to the system: after unloading.
void trim_tensor_memory();

}  // namespace lp::engine
