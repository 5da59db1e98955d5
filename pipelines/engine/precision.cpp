// SPDX-License-Identifier: MIT
#include "pipelines/engine/precision.hpp"

#include "pipelines/engine/cuda/runtime/runtime.hpp"
#include "pipelines/weights/part_weights.hpp"

namespace lp::engine {

namespace {

namespace fs = std::filesystem;

bool cpu_has_fast_bf16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

}  // namespace

fast_numbers fast_numbers_of_gpu(int capability) {
  return {capability >= 8, capability >= 7};
}

fast_numbers fast_numbers_of(at::Device device) {
  // libtorch's kernels for the CPU know fp16 only in part.
  if (!device.is_cuda()) return {cpu_has_fast_bf16(), false};
  const auto gpus = enumerate_runtime_devices().devices;
  const auto index = static_cast<std::size_t>(device.index());
  return fast_numbers_of_gpu(index < gpus.size() ? gpus[index].major : 0);
}

weight_precision choose_precision(weight_precision wanted, fast_numbers fast,
                                  std::uintmax_t weight_bytes) {
  if (wanted != weight_precision::automatic) return wanted;
  if (weight_bytes < large_weights) return weight_precision::fp32;
  if (fast.bf16) return weight_precision::bf16;
  return fast.fp16 ? weight_precision::fp16 : weight_precision::fp32;
}

weight_precision choose_precision(weight_precision wanted, at::Device device,
                                  const fs::path& weights) {
  return choose_precision(wanted, fast_numbers_of(device), bytes_of_weights(weights));
}

std::uintmax_t bytes_of_weights(const fs::path& weights) {
  std::uintmax_t sum = 0;
  std::error_code ignored;
  if (fs::is_regular_file(weights, ignored)) return fs::file_size(weights, ignored);
  for (const auto& file : pipelines::weight_files(weights)) {
    const auto size = fs::file_size(file, ignored);
    if (!ignored) sum += size;
  }
  return sum;
}

at::ScalarType scalar_type(weight_precision precision) {
  if (precision == weight_precision::bf16) return at::kBFloat16;
  return precision == weight_precision::fp16 ? at::kHalf : at::kFloat;
}

}  // namespace lp::engine
