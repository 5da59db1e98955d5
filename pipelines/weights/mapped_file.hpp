// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string_view>

#include "pipelines/weights/lost_files.hpp"
#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// A file in memory, copy on write: what is written to it stays the process's own. One that goes
/// away meanwhile is told by lost_files().
class mapped_file {
 public:
  /// ec::bad_file for one that cannot be read or is empty. `ahead`: the kernel is asked to read the
  /// whole file in the background; without, only what is looked at is read.
  static result<std::shared_ptr<mapped_file>> open(const std::filesystem::path& path, bool ahead);

  mapped_file(const mapped_file&) = delete;
  mapped_file& operator=(const mapped_file&) = delete;

  char* data() const { return mapping_.start; }
  std::string_view all() const { return {mapping_.start, mapping_.size}; }

 private:
  mapped_file(char* start, std::size_t size, const std::filesystem::path& path)
      : mapping_{start, size}, watch_(start, size, path) {}

  struct mapping {
    char* start;
    std::size_t size;
    ~mapping();
  };
  mapping mapping_;
  mapping_watch watch_;
};

}  // namespace lp::pipelines
