// SPDX-License-Identifier: MIT
// The runtime is linked statically: on a machine without a driver the program still starts, and the
// first call says so.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "pipelines/engine/cuda/runtime/runtime.hpp"

namespace lp::engine {

namespace {

// Versions come as 1000 * major + 10 * minor.
std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

runtime_device describe(int index, const cudaDeviceProp& properties) {
  char address[32] = {};
  if (cudaDeviceGetPCIBusId(address, sizeof address, index) != cudaSuccess) address[0] = '\0';
  return {properties.name,  properties.totalGlobalMem,      properties.major,
          properties.minor, properties.multiProcessorCount, address};
}

}  // namespace

runtime_devices enumerate_runtime_devices() {
  runtime_devices out;
  out.state = version_text(CUDART_VERSION);
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    out.state += ", no driver";
    return out;
  }
  out.state += ", driver for " + version_text(driver);
  int count = 0;
  const cudaError_t counted = cudaGetDeviceCount(&count);
  if (counted != cudaSuccess && counted != cudaErrorNoDevice) {
    out.state += fmt::format(", {}", cudaGetErrorString(counted));
    return out;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    const cudaError_t asked = cudaGetDeviceProperties(&properties, i);
    // A broken device keeps its place, so that the ones after it keep their ordinals.
    out.devices.push_back(asked == cudaSuccess
                              ? describe(i, properties)
                              : runtime_device{cudaGetErrorString(asked), 0, 0, 0, 0, {}});
  }
  out.state += fmt::format(", {} device{}", count, count == 1 ? "" : "s");
  return out;
}

}  // namespace lp::engine
