// SPDX-License-Identifier: MIT
// Where benchmarks write: folders of their own, which go with the benchmark however it ends.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "runtime/base/error.hpp"

namespace lp::bench {

/// A new empty folder, removed with this object, or when the process is interrupted.
class scratch_folder {
 public:
  /// In `parent`; empty: the system's temporary folder, which TMPDIR names. Throws
  /// std::filesystem::filesystem_error where none can be made.
  explicit scratch_folder(const std::filesystem::path& parent = {});
  ~scratch_folder();
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A process that is ended, and waited for, when this one is interrupted.
void end_when_interrupted(pid_t child);
void no_longer_ended(pid_t child);

/// Call before any thread is started. From then on SIGINT, SIGTERM and SIGHUP end the children and
/// remove the folders before they end the process.
void clean_up_when_interrupted();

/// In a child between fork() and exec(): it hears signals as any other process does.
void hear_signals_again();

}  // namespace lp::bench
