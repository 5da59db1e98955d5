// SPDX-License-Identifier: MIT
#include "pipelines/engine/block_heap.hpp"

#include <algorithm>

#include <sys/mman.h>

namespace lp::engine {

namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t huge = std::size_t{2} << 20;
/// Small enough that few regions are half empty, large enough that there are few.
constexpr std::size_t usual_region = std::size_t{64} << 20;

constexpr std::size_t round_up(std::size_t n, std::size_t to) {
  return (n + to - 1) / to * to;
}

}  // namespace

block_heap::~block_heap() {
  for (const auto& [at, r] : regions_) ::munmap(reinterpret_cast<void*>(at), r.size);
}

void* block_heap::allocate(std::size_t size) {
  if (size > SIZE_MAX / 2) return nullptr;
  size = std::max(page, round_up(size, page));
  const std::lock_guard lock(mutex_);
  auto best = by_size_.lower_bound({size, 0});
  if (best == by_size_.end()) {
    if (!add_region(size)) return nullptr;
    best = by_size_.lower_bound({size, 0});
  }
  const auto it = gaps_.find(best->second);
  const auto at = it->first;
  const gap whole = it->second;
  take_out(it);
  if (whole.size > size) {
    const auto left = whole.size - size;
    // What was touched is thought to lie at the front, where blocks are put first.
    add_gap(at + size, {left, whole.touched > size ? whole.touched - size : 0});
  }
  used_.emplace(at, size);
  region_of(at)->second.used += size;
  in_use_ += size;
  return reinterpret_cast<void*>(at);
}

std::size_t block_heap::free(void* block) {
  const auto at = reinterpret_cast<std::uintptr_t>(block);
  if (at < lowest_.load(std::memory_order_relaxed) ||
      at >= highest_.load(std::memory_order_relaxed))
    return 0;
  const std::lock_guard lock(mutex_);
  const auto found = used_.find(at);
  if (found == used_.end()) return 0;
  const auto size = found->second;
  used_.erase(found);
  in_use_ -= size;
  const auto where = region_of(at);
  where->second.used -= size;
  const auto merged = merge(at, {size, size});
  if (touched_ > kept_) {
    if (where->second.used == 0) {
      drop_empty_region(where);
    } else {
      give_back(merged);
    }
  }
  return size;
}

void block_heap::trim() {
  const std::lock_guard lock(mutex_);
  for (auto it = regions_.begin(); it != regions_.end();) {
    const auto here = it++;
    if (here->second.used == 0) drop_empty_region(here);
  }
  for (auto it = gaps_.begin(); it != gaps_.end(); ++it) give_back(it);
}

std::size_t block_heap::in_use() const {
  const std::lock_guard lock(mutex_);
  return in_use_;
}

std::size_t block_heap::idle() const {
  const std::lock_guard lock(mutex_);
  return touched_;
}

bool block_heap::add_region(std::size_t size) {
  const auto least = round_up(size, huge);
  size = std::max(usual_region, least);
  // One huge page more, so that the region can begin where a huge page does.
  const auto map = [](std::size_t bytes) {
    return ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  };
  void* got = map(size + huge);
  if (got == MAP_FAILED && size > least) got = map((size = least) + huge);
  if (got == MAP_FAILED) return false;
  const auto begin = reinterpret_cast<std::uintptr_t>(got);
  const auto at = round_up(begin, huge);
  if (at > begin) ::munmap(got, at - begin);
  ::munmap(reinterpret_cast<void*>(at + size), begin + huge - at);
  ::madvise(reinterpret_cast<void*>(at), size, MADV_HUGEPAGE);  // without it: ordinary pages
  regions_.emplace(at, region{size});
  add_gap(at, {size, 0});
  lowest_ = std::min(lowest_.load(), at);
  highest_ = std::max(highest_.load(), at + size);
  return true;
}

void block_heap::add_gap(std::uintptr_t at, gap g) {
  gaps_.emplace(at, g);
  by_size_.emplace(g.size, at);
  touched_ += g.touched;
}

void block_heap::take_out(gaps::iterator it) {
  by_size_.erase({it->second.size, it->first});
  touched_ -= it->second.touched;
  gaps_.erase(it);
}

/// Adds a gap, made one with its neighbours in the same region.
block_heap::gaps::iterator block_heap::merge(std::uintptr_t at, gap g) {
  const auto where = region_of(at);
  const auto end = where->first + where->second.size;
  if (const auto after = gaps_.find(at + g.size); after != gaps_.end() && at + g.size < end) {
    g.size += after->second.size;
    g.touched += after->second.touched;
    take_out(after);
  }
  if (auto before = gaps_.lower_bound(at); before != gaps_.begin()) {
    --before;
    if (before->first >= where->first && before->first + before->second.size == at) {
      at = before->first;
      g.size += before->second.size;
      g.touched += before->second.touched;
      take_out(before);
    }
  }
  add_gap(at, g);
  return gaps_.find(at);
}

/// Only whole huge pages: splitting one would leave it with the process.
void block_heap::give_back(gaps::iterator it) {
  const auto begin = round_up(it->first, huge);
  const auto end = (it->first + it->second.size) / huge * huge;
  if (it->second.touched == 0 || begin >= end) return;
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  const auto left = std::min(it->second.touched, it->second.size - (end - begin));
  touched_ -= it->second.touched - left;
  it->second.touched = left;
}

void block_heap::drop_empty_region(std::map<std::uintptr_t, region>::iterator it) {
  take_out(gaps_.find(it->first));
  ::munmap(reinterpret_cast<void*>(it->first), it->second.size);
  regions_.erase(it);
}

std::map<std::uintptr_t, block_heap::region>::iterator block_heap::region_of(std::uintptr_t at) {
  return std::prev(regions_.upper_bound(at));
}

}  // namespace lp::engine
