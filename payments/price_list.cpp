// SPDX-License-Identifier: MIT
#include "payments/price_list.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

namespace lp::payments {

namespace {

const rational wei_per_eth{1'000'000'000'000'000'000};

bool fits(const std::string& wanted, std::string_view is) {
  return wanted.empty() || wanted == is;
}

int rank(const price_rule& r) {
  return (r.sender.empty() ? 0 : 4) + (r.model.empty() ? 0 : 2) + (r.pipeline.empty() ? 0 : 1);
}

}  // namespace

result<rational> fixed_feed::wei_per(std::string_view currency) const {
  if (currency == "wei") return rational(1);
  if (currency == "gwei") return rational(1'000'000'000);
  if (currency == "eth") return wei_per_eth;
  const auto it = per_eth_.find(currency);
  if (it != per_eth_.end() && it->second > 0) return wei_per_eth / it->second;
  return fail(ec::bad_config, fmt::format("the rate of currency \"{}\" is not known", currency));
}

result<rational> joint_feed::wei_per(std::string_view currency) const {
  auto rate = first_->wei_per(currency);
  return rate || rate.error().code != ec::bad_config ? rate : second_->wei_per(currency);
}

result<std::optional<price>> price_list::find(std::string_view pipeline, std::string_view model,
                                              std::string_view sender) const {
  const price_rule* best = nullptr;
  for (const price_rule& r : rules_) {
    if (!fits(r.pipeline, pipeline) || !fits(r.model, model) || !fits(r.sender, sender)) continue;
    if (best == nullptr || rank(r) >= rank(*best)) best = &r;
  }
  if (best == nullptr) return std::optional<price>{};
  const auto wei = in_wei(best->amount);
  if (!wei) return fail(wei.error());
  return price{*wei / best->units};
}

result<rational> price_list::in_wei(const money& amount) const {
  if (amount.currency == "wei") return amount.amount;
  const auto rate =
      feed_ ? feed_->wei_per(amount.currency) : fixed_feed({}).wei_per(amount.currency);
  if (!rate) return fail(rate.error());
  return amount.amount * *rate;
}

}  // namespace lp::payments
