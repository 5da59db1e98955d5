// SPDX-License-Identifier: MIT
// Counters and gauges of one node, readable while they change.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace lp {

/// Named 64-bit values. A reference handed out stays valid for the registry's life, and adding to
/// it is one atomic operation.
class metrics {
 public:
  using value = std::atomic<std::int64_t>;

  /// The value of that name, created at zero on first use.
  value& get(const std::string& name) {
    const std::lock_guard lock(mutex_);
    auto& slot = values_[name];
    if (!slot) slot = std::make_unique<value>(0);
    return *slot;
  }

  std::map<std::string, std::int64_t> snapshot() const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, std::int64_t> out;
    for (const auto& [name, v] : values_) out[name] = v->load(std::memory_order_relaxed);
    return out;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<value>> values_;
};

}  // namespace lp
