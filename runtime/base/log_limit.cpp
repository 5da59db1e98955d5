// SPDX-License-Identifier: MIT
#include "runtime/base/log_limit.hpp"

#include <algorithm>
#include <iterator>

namespace lp::log {

namespace {

constexpr seconds intervals[] = {seconds(10), seconds(60), seconds(600), seconds(3600)};
constexpr seconds forgotten_after{7200};
constexpr std::size_t most_records = 60;  // a minute

}  // namespace

std::optional<std::size_t> limiter::due(std::string_view key, time_point now) {
  const std::lock_guard lock(mutex_);
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    make_room();
    found = entries_.emplace(key, entry{}).first;
  }
  entry& e = found->second;
  if (e.times > 0 && e.told + forgotten_after < now) e = {};
  const auto wait =
      intervals[std::min(std::max<std::size_t>(e.times, 1), std::size(intervals)) - 1];
  if ((e.times > 0 && now < e.told + wait) || !spend(now)) {
    ++e.skipped;
    return std::nullopt;
  }
  const std::size_t skipped = e.skipped;
  e = {now, e.times + 1, 0};
  return skipped;
}

void limiter::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

void limiter::make_room() {
  if (entries_.size() < most_keys_) return;
  entries_.erase(
      std::min_element(entries_.begin(), entries_.end(),
                       [](const auto& a, const auto& b) { return a.second.told < b.second.told; }));
}

bool limiter::spend(time_point now) {
  if (minute_ == time_point{} || now >= minute_ + seconds(60)) {
    minute_ = now;
    records_ = 0;
  }
  return records_++ < most_records;
}

limiter& process_limiter() {
  static limiter it;
  return it;
}

}  // namespace lp::log
