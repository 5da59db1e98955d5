// SPDX-License-Identifier: MIT
// What files of weights hold, from their headers alone: no torch, and no weights are read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "pipelines/weights/tensor_names.hpp"
#include "runtime/base/error.hpp"

namespace lp::pipelines {

struct weights_summary {
  std::uint64_t tensors = 0;
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;                        ///< of the tensors
  std::map<std::string, std::uint64_t> by_dtype;  ///< "F16" -> parameters

  void add(const weights_summary& other);
  void add(const named_tensor& tensor);
};

/// Of one file. ec::bad_file for a damaged or cut file.
result<weights_summary> summarise_file(const std::filesystem::path& file);

/// Of what find_weights() says is loaded of a folder. Nothing in one without weights.
result<weights_summary> summarise_folder(const std::filesystem::path& folder);

}  // namespace lp::pipelines
