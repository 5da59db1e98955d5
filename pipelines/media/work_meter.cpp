// SPDX-License-Identifier: MIT
#include "pipelines/media/work_meter.hpp"

#include <ctime>
#include <utility>

#include <fmt/format.h>

namespace lp::pipelines {

namespace {

std::int64_t processor_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

work_meter::work_meter(milliseconds processor_time, cancel_token stop)
    : limit_ns_(processor_time.count() * 1'000'000),
      end_ns_(limit_ns_ == 0 ? 0 : processor_ns() + limit_ns_),
      stop_(std::move(stop)) {}

bool work_meter::go_on() {
  if (over_ || stop_.cancelled()) return false;
  over_ = limit_ns_ != 0 && processor_ns() > end_ns_;
  return !over_;
}

error work_meter::why() const {
  if (!over_) return {ec::cancelled, "the job was cancelled", {}};
  return {ec::too_large,
          fmt::format("decoding it takes more than {:g} s of processor time; expected a picture "
                      "that is less costly to decode",
                      static_cast<double>(limit_ns_) / 1e9),
          {}};
}

}  // namespace lp::pipelines
