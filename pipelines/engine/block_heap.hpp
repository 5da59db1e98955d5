// SPDX-License-Identifier: MIT
// Large blocks of memory in huge pages. A tensor of some megabytes that malloc() maps anew costs a
// page fault every 4 KiB, which is more than filling it; here freed memory is used again, and what
// is new comes 2 MiB at a time (transparent huge pages, where the system has them).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <utility>

namespace lp::engine {

/// Safe from any thread.
class block_heap {
 public:
  /// Freed memory up to `kept` bytes stays with the process, to be used again.
  explicit block_heap(std::size_t kept) : kept_(kept) {}
  block_heap(const block_heap&) = delete;
  block_heap& operator=(const block_heap&) = delete;
  ~block_heap();

  /// At least `size` bytes, aligned to 4096; null where the system has none.
  void* allocate(std::size_t size);

  /// The block's bytes as rounded by allocate(); 0 if it is none of this heap's, and then nothing
  /// was done.
  std::size_t free(void* block);

  /// Gives everything that is not in use back to the system.
  void trim();

  /// Bytes mapped that are in use, and that are kept though nobody uses them.
  std::size_t in_use() const;
  std::size_t idle() const;

 private:
  /// Free memory; `touched` bytes of it at most are the process's.
  struct gap {
    std::size_t size;
    std::size_t touched;
  };
  struct region {
    std::size_t size;
    std::size_t used = 0;
  };
  using gaps = std::map<std::uintptr_t, gap>;

  bool add_region(std::size_t size);
  void add_gap(std::uintptr_t at, gap g);
  gaps::iterator merge(std::uintptr_t at, gap g);
  void take_out(gaps::iterator it);
  void give_back(gaps::iterator it);
  void drop_empty_region(std::map<std::uintptr_t, region>::iterator it);
  std::map<std::uintptr_t, region>::iterator region_of(std::uintptr_t at);

  const std::size_t kept_;
  mutable std::mutex mutex_;
  std::map<std::uintptr_t, region> regions_;
  std::map<std::uintptr_t, std::size_t> used_;
  gaps gaps_;
  std::set<std::pair<std::size_t, std::uintptr_t>> by_size_;
  std::size_t in_use_ = 0;
  std::size_t touched_ = 0;  ///< sum over the gaps
  /// Where regions ever lay: whose pointers are elsewhere need not wait for the lock.
  std::atomic<std::uintptr_t> lowest_{UINTPTR_MAX}, highest_{0};
};

}  // namespace lp::engine
