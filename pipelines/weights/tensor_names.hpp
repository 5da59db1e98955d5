// SPDX-License-Identifier: MIT
// What a file of weights says of its tensors, without reading them: no torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/error.hpp"

namespace lp::pipelines {

struct named_tensor {
  std::string dtype;  ///< "F16"
  std::vector<std::uint64_t> shape;
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;
  std::uint64_t begin = 0;  ///< of a .safetensors file's: where its bytes lie in it
};

/// By name. A file begins with 8 bytes, its header's length, little-endian; then the header, JSON
/// from a tensor's name to its dtype, shape and place. ec::bad_file for a damaged or cut file.
result<std::map<std::string, named_tensor>> read_safetensors_names(
    const std::filesystem::path& file);

/// The strings of its "__metadata__". ec::bad_file as above.
result<std::map<std::string, std::string>> read_safetensors_metadata(
    const std::filesystem::path& file);

/// The numbers of a small tensor of such a file; nothing for one that is not there, is of another
/// type than F64, F32, F16 and BF16, or has more than 65536 numbers.
std::optional<std::vector<double>> read_safetensors_values(const std::filesystem::path& file,
                                                           const std::string& name);

/// Of a .safetensors file, and of others as pickle_archive.hpp reads them. ec::bad_file as there.
result<std::map<std::string, named_tensor>> read_tensor_names(const std::filesystem::path& file);

}  // namespace lp::pipelines
