// SPDX-License-Identifier: MIT
// The header of a safetensors file: its grammar and every check on it, apart from any I/O.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include <c10/core/ScalarType.h>

#include "pipelines/engine/safetensors.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

/// Longest header that is read, as in the format's own library.
inline constexpr std::uint64_t max_safetensors_header = 100'000'000;

/// One dtype of the format.
struct safetensors_dtype {
  std::string_view name;
  std::uint8_t size = 0;                              ///< bytes an element
  at::ScalarType stored = at::ScalarType::Undefined;  ///< how the bytes are viewed
  at::ScalarType loaded = at::ScalarType::Undefined;  ///< what load() returns
};

/// The dtype of that name, or null.
const safetensors_dtype* find_safetensors_dtype(std::string_view name);

/// The dtype that a tensor of `type` is written as, or null if the format has none.
const safetensors_dtype* safetensors_dtype_of(at::ScalarType type);

struct safetensors_header {
  std::map<std::string, tensor_info> tensors;
  std::map<std::string, std::string> metadata;
};

/// Parses and checks the header's text. The tensors must cover the `data_size` bytes after it
/// exactly: no hole, no overlap, nothing beyond. `path` is for the messages.
result<safetensors_header> parse_safetensors_header(std::string_view text, std::uint64_t data_size,
                                                    const std::filesystem::path& path);

}  // namespace lp::engine
