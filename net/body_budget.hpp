// SPDX-License-Identifier: MIT
// Bounds what the bodies of all requests under way take together.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "runtime/base/clock.hpp"

namespace lp::net {

/// Bodies up to this size are taken whatever others take: they are bounded by the number of
/// connections, and small jobs go on while large ones are refused.
constexpr std::size_t small_body = 64 * 1024;

/// Shared by the connections of a server. Safe from any thread.
class body_budget {
 public:
  explicit body_budget(std::size_t limit) : limit_(limit) {}

  /// Whether `bytes` more would fit now.
  bool fits(std::size_t bytes) const;
  bool take(std::size_t bytes);
  void give(std::size_t bytes);
  std::size_t limit() const { return limit_; }
  std::size_t used() const { return used_; }

  /// Gives freed memory back to the system where much was freed and little is in use: the C
  /// library keeps it for itself otherwise. Costs some milliseconds then; to be called now and
  /// then.
  void trim(time_point now);

 private:
  const std::size_t limit_;
  std::atomic<std::size_t> used_ = 0;
  std::atomic<std::size_t> freed_ = 0;  ///< since it was last given back
  std::atomic<time_point> trimmed_ = time_point{};
};

/// One body's share. It goes with the body, wherever that is kept.
class body_lease {
 public:
  explicit body_lease(std::shared_ptr<body_budget> budget) : budget_(std::move(budget)) {}
  body_lease(const body_lease&) = delete;
  body_lease& operator=(const body_lease&) = delete;
  ~body_lease() { budget_->give(bytes_); }

  /// Room for a body of `bytes` in all; false where that is too much.
  bool grow_to(std::size_t bytes);

 private:
  std::shared_ptr<body_budget> budget_;
  std::size_t bytes_ = 0;
};

}  // namespace lp::net
