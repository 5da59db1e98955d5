// SPDX-License-Identifier: MIT
// Prices by pipeline, model and sender, in any currency that a feed can turn into wei; and the one
// list in effect, which can change while it is used.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "payments/price.hpp"

namespace lp::payments {

/// What currencies are worth. Safe to use from several threads.
class price_feed {
 public:
  virtual ~price_feed() = default;
  /// Wei for one unit of the currency; ec::bad_config for one that is not known, ec::unavailable
  /// for one whose present rate is not.
  virtual result<rational> wei_per(std::string_view currency) const = 0;
};

/// Rates that are given once. "wei", "gwei" and "eth" are always known.
class fixed_feed : public price_feed {
 public:
  /// `per_eth`: units of a currency that one ETH buys, such as {"usd", 2500}.
  explicit fixed_feed(std::map<std::string, rational, std::less<>> per_eth)
      : per_eth_(std::move(per_eth)) {}
  result<rational> wei_per(std::string_view currency) const override;

 private:
  std::map<std::string, rational, std::less<>> per_eth_;
};

/// Two feeds as one: what the first does not know, the second is asked for.
class joint_feed : public price_feed {
 public:
  joint_feed(std::shared_ptr<const price_feed> first, std::shared_ptr<const price_feed> second)
      : first_(std::move(first)), second_(std::move(second)) {}
  result<rational> wei_per(std::string_view currency) const override;

 private:
  std::shared_ptr<const price_feed> first_, second_;
};

/// One line of a price list. An empty pipeline, model or sender means every one.
struct price_rule {
  std::string pipeline;
  std::string model;
  std::string sender;       ///< "0x" and 40 hexadecimal digits, in lower case
  money amount;             ///< for `units` billing units
  std::uint64_t units = 1;  ///< at least 1
};

/// A price list: rules and the feed for their currencies. Immutable.
class price_list {
 public:
  price_list() = default;
  price_list(std::vector<price_rule> rules, std::shared_ptr<const price_feed> feed)
      : rules_(std::move(rules)), feed_(std::move(feed)) {}

  /// The price by the rule that fits best: one that names the sender before one that does not, then
  /// one that names the model, then the pipeline; of equals the last. None where no rule fits.
  /// Fails as the feed does.
  result<std::optional<price>> find(std::string_view pipeline, std::string_view model,
                                    std::string_view sender = {}) const;

  /// `amount` in wei by this list's feed.
  result<rational> in_wei(const money& amount) const;

  const std::vector<price_rule>& rules() const { return rules_; }

 private:
  std::vector<price_rule> rules_;
  std::shared_ptr<const price_feed> feed_;
};

/// The list in effect. Whoever works with one keeps it to the end of that piece of work.
class price_book {
 public:
  explicit price_book(price_list first)
      : current_(std::make_shared<const price_list>(std::move(first))) {}

  std::shared_ptr<const price_list> current() const {
    const std::lock_guard lock(mutex_);
    return current_;
  }
  void replace(price_list next) {
    auto fresh = std::make_shared<const price_list>(std::move(next));
    const std::lock_guard lock(mutex_);
    current_.swap(fresh);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const price_list> current_;
};

}  // namespace lp::payments
