// SPDX-License-Identifier: MIT
// The safetensors file format: an 8-byte little-endian header length, a JSON header that names
// every tensor with dtype, shape and byte range, then the tensors' bytes without gaps.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// What the header says of one tensor.
struct tensor_info {
  std::string dtype;                ///< the file's word: "F16", "BF16", "I64", "F8_E4M3", ...
  std::vector<std::int64_t> shape;  ///< empty for a scalar
  std::uint64_t begin = 0;          ///< first byte, counted from the end of the header
  std::uint64_t end = 0;            ///< one past the last byte
};

/// A file mapped into memory. Opening checks the whole header; the bytes are read when they are
/// touched. Safe to share between threads. A file that goes away meanwhile is told by
/// pipelines::lost_files().
class safetensors_file {
 public:
  /// Maps the file. Anything wrong with it is ec::bad_file naming the file and the defect.
  static result<std::shared_ptr<safetensors_file>> open(const std::filesystem::path& path);

  const std::map<std::string, tensor_info>& tensors() const { return tensors_; }

  /// The header's "__metadata__": free text by name.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  const std::filesystem::path& path() const { return path_; }

  /// The tensor, on the CPU, in the file's dtype. It lies in the mapping and keeps it alive; it is
  /// a copy only where the file does not align it. Writing to it changes this process's private
  /// copy of the page, never the file, and ends with the tensor. Types this libtorch lacks come
  /// widened: 8-bit floats as float32, U16 as int32, U32 and U64 as int64 (ec::bad_file beyond its
  /// range). An unknown name is ec::bad_file.
  result<at::Tensor> load(const std::string& name) const;

  /// Asks the kernel to start reading the whole file, so that a cold load runs at the disk's
  /// speed instead of a page fault at a time. Returns at once.
  void read_ahead() const;

 private:
  struct mapping;

  safetensors_file() = default;

  std::filesystem::path path_;
  std::shared_ptr<const mapping> mapping_;
  std::uint64_t data_start_ = 0;
  std::map<std::string, tensor_info> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Writes a file of these tensors, in the order of falling alignment and then of name, under a
/// temporary name that is renamed when complete. Names must differ. Tensors may lie on any device.
result<void> save_safetensors(const std::filesystem::path& path,
                              const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                              const std::map<std::string, std::string>& metadata = {});

}  // namespace lp::engine
