// SPDX-License-Identifier: MIT
// What work on a stranger's file may cost. The decoders ask between rows and blocks.
#pragma once

#include <cstdint>

#include "runtime/base/cancel.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::pipelines {

class work_meter {
 public:
  /// `processor_time` of the calling thread from now on; 0: no limit. `stop` ends the work early.
  work_meter(milliseconds processor_time, cancel_token stop);

  /// Whether to go on; once false, always false. Costs less than a microsecond.
  bool go_on();

  /// Why not to go on: ec::cancelled, or ec::too_large where the time was over.
  error why() const;

 private:
  std::int64_t limit_ns_;
  std::int64_t end_ns_;
  cancel_token stop_;
  bool over_ = false;
};

}  // namespace lp::pipelines
