// SPDX-License-Identifier: MIT
// Time is an argument: logic takes time_point values, and only its owners ask the clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace lp {

using clock = std::chrono::steady_clock;
using time_point = clock::time_point;
using duration = clock::duration;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// What is left until `deadline`, never negative. A job's budget crosses nodes as this remaining
/// time, because the clocks of two hosts differ.
inline milliseconds remaining(time_point deadline, time_point now = clock::now()) {
  if (deadline <= now) return milliseconds{0};
  return std::chrono::duration_cast<milliseconds>(deadline - now);
}

/// Milliseconds since 1970, for what is signed: nodes of different owners have no other common
/// time.
inline std::int64_t unix_ms() {
  return std::chrono::duration_cast<milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// Milliseconds with a fraction, for reports.
inline double to_ms(duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

}  // namespace lp
