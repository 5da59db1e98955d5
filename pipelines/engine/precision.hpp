// SPDX-License-Identifier: MIT
// In which numbers a model computes.
#pragma once

#include <cstdint>
#include <filesystem>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "pipelines/engine/stable_diffusion.hpp"

namespace lp::engine {

/// Networks from this size on are bound by memory and matrix products, where 16 bits pay.
inline constexpr std::uintmax_t large_weights = std::uintmax_t{500} << 20;

/// What a machine computes fast.
struct fast_numbers {
  bool bf16 = false;
  bool fp16 = false;
};

/// Of a GPU by the first number of its compute capability: tensor cores take fp16 from Volta (7) on
/// and bf16 from Ampere (8) on.
fast_numbers fast_numbers_of_gpu(int capability);

/// Of the CPU at hand, or that GPU.
fast_numbers fast_numbers_of(at::Device device);

/// What `wanted` means for weights of so many bytes: `automatic` is bf16 for large ones where that
/// is fast, else fp16, else fp32.
weight_precision choose_precision(weight_precision wanted, fast_numbers fast,
                                  std::uintmax_t weight_bytes);

/// The same for a folder of safetensors files, or one file, on a device.
weight_precision choose_precision(weight_precision wanted, at::Device device,
                                  const std::filesystem::path& weights);

/// Bytes of a folder's safetensors files, or of one file.
std::uintmax_t bytes_of_weights(const std::filesystem::path& weights);

at::ScalarType scalar_type(weight_precision precision);

}  // namespace lp::engine
