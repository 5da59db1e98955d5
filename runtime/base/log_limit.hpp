// SPDX-License-Identifier: MIT
// Records of what may happen again and again: told at once, then at growing intervals.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/core.h>

#include "runtime/base/clock.hpp"
#include "runtime/base/log.hpp"

namespace lp::log {

/// Decides when to tell again: at once, then after 10 s, 1 min, 10 min, and once an hour. What was
/// not heard of for two hours is new. All keys together: 60 records a minute, however many keys
/// strangers make up. Safe from any thread.
class limiter {
 public:
  /// Remembers at most so many keys; the one that was told least lately gives way.
  explicit limiter(std::size_t most_keys = 1024) : most_keys_(most_keys) {}

  /// How often it happened since it was last told, not counting now; nothing: do not tell.
  std::optional<std::size_t> due(std::string_view key, time_point now);

  /// It is over, whatever it was: the next time is told at once.
  void clear();

 private:
  struct entry {
    time_point told{};
    std::size_t times = 0;    ///< told
    std::size_t skipped = 0;  ///< since then
  };

  void make_room();
  bool spend(time_point now);

  const std::size_t most_keys_;
  std::mutex mutex_;
  std::map<std::string, entry, std::less<>> entries_;
  time_point minute_{};      ///< when the present minute began
  std::size_t records_ = 0;  ///< in it
};

/// The process's own.
limiter& process_limiter();

/// Writes the record if the limiter finds `key` due, with the number of those that were not.
template <class... Ts>
void sparingly(level at, std::string_view component, std::string_view key,
               fmt::format_string<Ts...> format, Ts&&... args) {
  if (at < get_level()) return;
  const auto skipped = process_limiter().due(key, clock::now());
  if (!skipped) return;
  std::string text = fmt::format(format, std::forward<Ts>(args)...);
  if (*skipped > 0) text += fmt::format(" ({} times since this was last told)", *skipped + 1);
  write(at, component, text);
}

}  // namespace lp::log
