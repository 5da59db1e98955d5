// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// A file in memory, copy on write: what is written to it stays the process's own.
class mapped_file {
 public:
  /// ec::bad_file for one that cannot be read or is empty. `ahead`: the kernel is asked to read the
  /// whole file in the background; without, only what is looked at is read.
  static result<std::shared_ptr<mapped_file>> open(const std::filesystem::path& path, bool ahead);

  ~mapped_file();
  mapped_file(const mapped_file&) = delete;
  mapped_file& operator=(const mapped_file&) = delete;

  char* data() const { return start_; }
  std::string_view all() const { return {start_, size_}; }

 private:
  mapped_file(char* start, std::size_t size) : start_(start), size_(size) {}
  char* start_;
  std::size_t size_;
};

}  // namespace lp::pipelines
