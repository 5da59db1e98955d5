// SPDX-License-Identifier: MIT
#include "runtime/base/steady_time.hpp"

#include <algorithm>
#include <cstdlib>

#include "runtime/base/log.hpp"

namespace lp {

namespace {

// Clocks are set a little all the time, and a host that slept is behind: no news.
constexpr std::int64_t worth_telling_ms = 5'000;

}  // namespace

steady_time::steady_time(std::int64_t at_least_ms)
    : first_ms_(std::max(unix_ms(), std::min(at_least_ms, last_unix_ms))),
      first_(clock::now()),
      told_(unix_ms() - first_ms_) {}

std::int64_t steady_time::ms() const {
  return first_ms_ + std::chrono::duration_cast<milliseconds>(clock::now() - first_).count();
}

bool steady_time::tell_steps(std::string_view node) {
  const std::int64_t ahead = host_ahead_ms();
  std::int64_t told = told_.load();
  if (std::llabs(ahead - told) < worth_telling_ms || !told_.compare_exchange_strong(told, ahead)) {
    return false;
  }
  log::warn("clock",
            "{}: the host's clock was set, and is now {} the time that passed since the start; "
            "prices and payments expire by the latter",
            node, lead_text(ahead));
  return true;
}

std::string lead_text(std::int64_t ahead_ms) {
  const std::int64_t whole = std::llabs(ahead_ms) / 1000;
  return fmt::format("{} s {}", whole, ahead_ms < 0 ? "behind" : "ahead of");
}

}  // namespace lp
