// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lp::engine {

/// What the CUDA runtime says of a device.
struct runtime_device {
  std::string name;
  std::uint64_t memory_bytes = 0;
  int major = 0;  ///< compute capability
  int minor = 0;
  int multiprocessors = 0;
  std::string pci_address;
};

struct runtime_devices {
  std::string state;  ///< see cuda_state()
  std::vector<runtime_device> devices;
};

/// Asks the CUDA runtime. Takes no device memory. One of two definitions is built: with_cuda.cpp or
/// without_cuda.cpp.
runtime_devices enumerate_runtime_devices();

}  // namespace lp::engine
