// SPDX-License-Identifier: MIT
// What currencies are worth by Chainlink's aggregators, for those who may not wait for a chain.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "payments/chain/contracts.hpp"
#include "payments/price_list.hpp"

namespace lp::payments {

struct rate_watch_options {
  milliseconds refresh_every{60'000};
  seconds most_age{90'000};       ///< of what an aggregator says, by its own time
  milliseconds keep{600'000};     ///< how long a rate holds while no new one can be had
  milliseconds patience{10'000};  ///< for a first answer, when it is made
  milliseconds call_timeout{10'000};
};

/// Asks aggregators of ETH in some currency now and then, on a thread of its own. Safe from any
/// thread.
class rate_watch : public price_feed {
 public:
  /// `aggregators` by their currency. Waits `patience` at most until each was asked once.
  rate_watch(std::shared_ptr<eth_client> chain, const std::map<std::string, address>& aggregators,
             rate_watch_options options);
  ~rate_watch() override;
  rate_watch(const rate_watch&) = delete;
  rate_watch& operator=(const rate_watch&) = delete;

  /// At once. ec::bad_config for a currency without an aggregator; ec::unavailable, with what is
  /// wrong, where there has been no good answer for longer than `keep`.
  result<rational> wei_per(std::string_view currency) const override;

 private:
  struct rate {
    chainlink_aggregator source;
    bool asked = false;
    std::optional<rational> per_eth;
    time_point good{};  ///< when it was read
    std::string trouble;
  };

  void run();
  void ask(std::unique_lock<std::mutex>& lock, const std::string& currency, rate& r);

  rate_watch_options options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, rate, std::less<>> rates_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace lp::payments
