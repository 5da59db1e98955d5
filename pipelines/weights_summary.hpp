// SPDX-License-Identifier: MIT
// What files of weights hold, from their headers alone: no torch, and no weights are read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "runtime/base/error.hpp"

namespace lp::pipelines {

struct weights_summary {
  std::uint64_t tensors = 0;
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;                        ///< of the tensors
  std::map<std::string, std::uint64_t> by_dtype;  ///< "F16" -> parameters

  void add(const weights_summary& other);
};

/// Of one .safetensors file: 8 bytes with the header's length, little-endian, then the header, JSON
/// from a tensor's name to its dtype, shape and place. ec::bad_file for a damaged or cut file.
result<weights_summary> summarise_safetensors(const std::filesystem::path& file);

/// Of all .safetensors files in a folder, not below it.
result<weights_summary> summarise_folder(const std::filesystem::path& folder);

}  // namespace lp::pipelines
