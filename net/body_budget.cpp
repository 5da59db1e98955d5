// SPDX-License-Identifier: MIT
#include "net/body_budget.hpp"

#include <malloc.h>

namespace lp::net {

namespace {

// Less is not worth the walk through the heap.
constexpr std::size_t worth_trimming = 4 << 20;
// While bodies are under way what is freed is soon used again: then only now and then.
constexpr std::size_t much_freed = 64 << 20;
constexpr seconds busy_pause{10};

}  // namespace

bool body_budget::fits(std::size_t bytes) const {
  const std::size_t used = used_;
  return bytes <= limit_ && used <= limit_ - bytes;
}

bool body_budget::take(std::size_t bytes) {
  std::size_t used = used_;
  do {
    if (bytes > limit_ || used > limit_ - bytes) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes));
  return true;
}

void body_budget::give(std::size_t bytes) {
  if (bytes == 0) return;
  used_ -= bytes;
  freed_ += bytes;
}

void body_budget::trim(time_point now) {
  const std::size_t freed = freed_;
  const bool quiet = used_ == 0 && freed >= worth_trimming;
  const bool busy = freed >= much_freed && now - trimmed_.load() >= busy_pause;
  if (!quiet && !busy) return;
  freed_ = 0;
  trimmed_ = now;
  ::malloc_trim(0);
}

bool body_lease::grow_to(std::size_t bytes) {
  if (bytes <= bytes_ || bytes <= small_body) return true;
  if (!budget_->take(bytes - bytes_)) return false;
  bytes_ = bytes;
  return true;
}

}  // namespace lp::net
