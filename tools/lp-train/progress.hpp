// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "runtime/base/clock.hpp"

namespace lp::train {

/// A bar with speed and remaining time on standard error: redrawn in place on a terminal, a line
/// every 20 seconds elsewhere.
class progress_bar {
 public:
  progress_bar(std::string name, std::int64_t first, std::int64_t total);

  void update(std::int64_t done, double loss, double rate);
  void finish();

 private:
  void print(std::int64_t done);

  std::string name_;
  std::int64_t first_;
  std::int64_t total_;
  bool terminal_;
  time_point start_;
  time_point shown_;
  double loss_ = 0;  // smoothed
  double rate_ = 0;
  std::int64_t done_;
};

/// A budget of minutes; 0 has no end.
class stop_watch {
 public:
  explicit stop_watch(double minutes)
      : limited_(minutes > 0),
        end_(clock::now() + milliseconds(static_cast<std::int64_t>(minutes * 60'000))) {}
  bool over() const { return limited_ && clock::now() >= end_; }

 private:
  bool limited_;
  time_point end_;
};

}  // namespace lp::train
