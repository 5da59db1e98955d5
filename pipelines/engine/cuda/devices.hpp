// SPDX-License-Identifier: MIT
// NVIDIA GPUs: what there is, through the CUDA runtime, and how it is, through NVML.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipelines/engine.hpp"

namespace lp::engine {

/// The GPUs in the CUDA runtime's order, "cuda:0" first; `detail` tells compute capability, size
/// and health. Empty in a build without CUDA, without a driver and without a GPU.
std::vector<pipelines::device_info> cuda_devices();

/// Why cuda_devices() is what it is: "none (built without CUDA)", "13.0, no driver",
/// "13.0, driver for 13.0, 2 devices".
std::string cuda_state();

/// How a GPU is. What the driver does not tell stays empty: consumer cards count no ECC errors.
struct gpu_health {
  std::optional<int> temperature_c;          ///< degrees Celsius
  std::optional<int> busy_percent;           ///< share of the last sample in which a kernel ran
  std::optional<std::uint64_t> memory_free;  ///< bytes
  std::optional<std::uint64_t> ecc_errors;   ///< uncorrected, since the driver was loaded
  std::optional<std::vector<std::string>> throttled;  ///< why the clocks are held down; empty: not
};

/// The health of the GPU at that PCI address ("0000:04:00.0"). All empty if NVML, which comes with
/// the driver and is opened at run time, is not there or does not know it. Safe from any thread.
gpu_health read_gpu_health(const std::string& pci_address);

/// "34 °C, 0 % busy, no ECC errors", of what is known.
std::string to_text(const gpu_health& health);

/// NVML's bit set of reasons for lower clocks, in words; idling is none.
std::vector<std::string> throttle_reasons(std::uint64_t bits);

}  // namespace lp::engine
