// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "actors/model_pull.hpp"
#include "runtime/base/clock.hpp"

namespace lp::model_tool {

/// One line that tells how a download goes on; no terminal in here, and time is an argument.
class progress_bar {
 public:
  explicit progress_bar(time_point start) : start_(start) {}

  /// The line to show now; none if the last one is younger than a tenth of a second.
  std::optional<std::string> update(const actors::pull_state& state, time_point now);

 private:
  time_point start_;
  std::optional<std::uint64_t> first_;  ///< what was there already: it has no speed
  std::optional<time_point> shown_;
};

}  // namespace lp::model_tool
