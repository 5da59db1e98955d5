// SPDX-License-Identifier: MIT
// Time for what expires: milliseconds since 1970 that steps of the host's clock do not touch.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/clock.hpp"

namespace lp {

/// The last millisecond of the year 9999: no time that is told or stored is taken beyond it.
inline constexpr std::int64_t last_unix_ms = 253'402'300'799'999;

/// What the host's clock said when this was made and, from then on, what really passed: an hour
/// stays an hour when somebody sets the clock. Safe from any thread.
class steady_time {
 public:
  /// Begins with the host's clock, or with `at_least_ms` where that is later: what a node has
  /// forgotten because it was over by then must not become valid again.
  explicit steady_time(std::int64_t at_least_ms = 0);

  std::int64_t ms() const;
  std::int64_t seconds() const { return ms() / 1000; }

  /// How far the host's clock is ahead of this time; below 0 where it is behind.
  std::int64_t host_ahead_ms() const { return unix_ms() - ms(); }

  /// Writes to the log where the host's clock was set since the last call. True if it was.
  bool tell_steps(std::string_view node);

 private:
  const std::int64_t first_ms_;
  const time_point first_;
  std::atomic<std::int64_t> told_;  ///< the host's lead that was told last
};

/// "12 s ahead of", "3 s behind": for what is told of two clocks.
std::string lead_text(std::int64_t ahead_ms);

}  // namespace lp
