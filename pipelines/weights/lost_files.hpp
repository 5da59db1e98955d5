// SPDX-License-Identifier: MIT
// Files that go away while they are mapped. Whoever reads a page of a file that was cut short, or
// whose disk is gone, is sent SIGBUS, which ends a process that is not prepared for it. Here the
// whole mapping becomes zeros instead, and it is told that the file was lost: what was computed
// since then is worth nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// Watches a private mapping of a file as long as it lives; it ends before the mapping does. The
/// first one sets a handler of SIGBUS, which passes on what lies in no watched mapping.
class mapping_watch {
 public:
  /// `begin` is a page's, as mmap() returns it.
  mapping_watch(void* begin, std::size_t bytes, const std::filesystem::path& file);
  ~mapping_watch();
  mapping_watch(const mapping_watch&) = delete;
  mapping_watch& operator=(const mapping_watch&) = delete;

  struct range;

 private:
  range* range_;
};

/// How many mappings were lost by now.
std::uint64_t lost_files();

/// ec::load_failed, naming the file (its last two names alone, since clients read it), if one was
/// lost after lost_files() was `before`. Which of the process's models it belongs to is not known:
/// it is rare enough that all are loaded anew.
result<void> none_lost_since(std::uint64_t before);

}  // namespace lp::pipelines
