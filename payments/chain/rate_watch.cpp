// SPDX-License-Identifier: MIT
#include "payments/chain/rate_watch.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "runtime/base/log.hpp"

namespace lp::payments {

namespace {

const rational wei_per_eth{1'000'000'000'000'000'000};

}  // namespace

rate_watch::rate_watch(std::shared_ptr<eth_client> chain,
                       const std::map<std::string, address>& aggregators,
                       rate_watch_options options)
    : options_(options) {
  for (const auto& [currency, where] : aggregators) {
    rates_.emplace(currency, rate{chainlink_aggregator(chain, where), false, {}, {}, {}});
  }
  thread_ = std::thread([this] { run(); });
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, options_.patience, [this] {
    return std::all_of(rates_.begin(), rates_.end(), [](const auto& r) { return r.second.asked; });
  });
}

rate_watch::~rate_watch() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

result<rational> rate_watch::wei_per(std::string_view currency) const {
  const std::lock_guard lock(mutex_);
  const auto found = rates_.find(currency);
  if (found == rates_.end()) {
    return fail(ec::bad_config, fmt::format("the rate of currency \"{}\" is not known", currency));
  }
  const rate& r = found->second;
  if (r.per_eth && clock::now() - r.good <= options_.keep) return wei_per_eth / *r.per_eth;
  return fail(ec::unavailable,
              fmt::format("the rate of currency \"{}\" is not known now: {}", currency,
                          r.trouble.empty() ? "its aggregator has not answered yet" : r.trouble));
}

void rate_watch::ask(std::unique_lock<std::mutex>& lock, const std::string& currency, rate& r) {
  lock.unlock();
  const auto read = r.source.latest(static_cast<std::uint64_t>(unix_ms() / 1000), options_.most_age,
                                    clock::now() + options_.call_timeout);
  lock.lock();
  r.asked = true;
  if (read) {
    r.per_eth = read->price;
    r.good = clock::now();
    r.trouble.clear();
    return;
  }
  if (r.trouble.empty()) log::warn("chain", "rate of {}: {}", currency, read.error().message);
  r.trouble = read.error().message;
}

void rate_watch::run() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    for (auto& [currency, r] : rates_) {
      if (!ending_) ask(lock, currency, r);
    }
    changed_.notify_all();
    changed_.wait_for(lock, options_.refresh_every, [this] { return ending_; });
  }
}

}  // namespace lp::payments
