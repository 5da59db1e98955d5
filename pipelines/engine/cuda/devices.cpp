// SPDX-License-Identifier: MIT
#include "pipelines/engine/cuda/devices.hpp"

#include <fmt/format.h>

#include "pipelines/engine/cuda/runtime/runtime.hpp"

namespace lp::engine {

std::vector<pipelines::device_info> cuda_devices() {
  std::vector<pipelines::device_info> out;
  for (const runtime_device& device : enumerate_runtime_devices().devices) {
    std::string detail = fmt::format("compute capability {}.{}, {} multiprocessors", device.major,
                                     device.minor, device.multiprocessors);
    const std::string health = to_text(read_gpu_health(device.pci_address));
    if (!health.empty()) detail += ", " + health;
    out.push_back(
        {fmt::format("cuda:{}", out.size()), device.name, device.memory_bytes, std::move(detail)});
  }
  return out;
}

std::string cuda_state() {
  return enumerate_runtime_devices().state;
}

}  // namespace lp::engine
