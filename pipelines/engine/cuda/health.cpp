// SPDX-License-Identifier: MIT
// NVML is part of NVIDIA's driver, so it is opened at run time. The few declarations needed are
// written out here after the NVML API Reference; the numbers are part of its stable ABI.
#include <dlfcn.h>

#include <array>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipelines/engine/cuda/devices.hpp"
#include "runtime/base/bytes.hpp"

namespace lp::engine {

namespace {

struct utilization {
  unsigned gpu, memory;  // percent
};
struct memory_info {
  unsigned long long total, free, used;  // bytes
};

constexpr int success = 0;
constexpr int gpu_sensor = 0;
constexpr int uncorrected = 1;
constexpr int since_driver_load = 0;

// The functions used, null where the driver lacks them.
struct nvml {
  using device = void*;
  int (*init)() = nullptr;
  int (*handle)(const char*, device*) = nullptr;
  int (*temperature)(device, int, unsigned*) = nullptr;
  int (*utilization_rates)(device, utilization*) = nullptr;
  int (*memory)(device, memory_info*) = nullptr;
  int (*ecc_errors)(device, int, int, unsigned long long*) = nullptr;
  int (*throttle_reasons)(device, unsigned long long*) = nullptr;
  bool ready = false;
};

template <class F>
void look_up(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(::dlsym(library, name));
}

nvml open_nvml() {
  nvml out;
  // Stays open for the process's life, as handles do.
  void* library = ::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return out;
  look_up(library, "nvmlInit_v2", out.init);
  look_up(library, "nvmlDeviceGetHandleByPciBusId_v2", out.handle);
  look_up(library, "nvmlDeviceGetTemperature", out.temperature);
  look_up(library, "nvmlDeviceGetUtilizationRates", out.utilization_rates);
  look_up(library, "nvmlDeviceGetMemoryInfo", out.memory);
  look_up(library, "nvmlDeviceGetTotalEccErrors", out.ecc_errors);
  look_up(library, "nvmlDeviceGetCurrentClocksThrottleReasons", out.throttle_reasons);
  out.ready = out.init != nullptr && out.handle != nullptr && out.init() == success;
  return out;
}

const nvml& library() {
  static const nvml opened = open_nvml();
  return opened;
}

constexpr std::array<std::pair<std::uint64_t, const char*>, 7> reason_words = {{
    {0x2, "application clocks"},
    {0x4, "power cap"},
    {0x8, "hardware slowdown"},
    {0x10, "sync boost"},
    {0x20, "temperature (software)"},
    {0x40, "temperature (hardware)"},
    {0x80, "power brake"},
}};

}  // namespace

std::vector<std::string> throttle_reasons(std::uint64_t bits) {
  std::vector<std::string> out;
  for (const auto& [bit, words] : reason_words) {
    if ((bits & bit) != 0) out.emplace_back(words);
  }
  return out;
}

gpu_health read_gpu_health(const std::string& pci_address) {
  gpu_health out;
  const nvml& api = library();
  nvml::device device = nullptr;
  if (!api.ready || api.handle(pci_address.c_str(), &device) != success) return out;
  unsigned degrees = 0;
  if (api.temperature && api.temperature(device, gpu_sensor, &degrees) == success) {
    out.temperature_c = static_cast<int>(degrees);
  }
  utilization busy{};
  if (api.utilization_rates && api.utilization_rates(device, &busy) == success) {
    out.busy_percent = static_cast<int>(busy.gpu);
  }
  memory_info memory{};
  if (api.memory && api.memory(device, &memory) == success) out.memory_free = memory.free;
  unsigned long long errors = 0;
  if (api.ecc_errors &&
      api.ecc_errors(device, uncorrected, since_driver_load, &errors) == success) {
    out.ecc_errors = errors;
  }
  unsigned long long reasons = 0;
  if (api.throttle_reasons && api.throttle_reasons(device, &reasons) == success) {
    out.throttled = throttle_reasons(reasons);
  }
  return out;
}

std::string to_text(const gpu_health& health) {
  std::vector<std::string> parts;
  if (health.temperature_c) parts.push_back(fmt::format("{} °C", *health.temperature_c));
  if (health.busy_percent) parts.push_back(fmt::format("{} % busy", *health.busy_percent));
  if (health.memory_free) parts.push_back(human_bytes(*health.memory_free) + " free");
  if (health.ecc_errors) {
    parts.push_back(*health.ecc_errors == 0 ? "no ECC errors"
                                            : fmt::format("{} ECC errors", *health.ecc_errors));
  }
  if (health.throttled && !health.throttled->empty()) {
    parts.push_back(fmt::format("slowed by {}", fmt::join(*health.throttled, " and ")));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace lp::engine
