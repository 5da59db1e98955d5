// SPDX-License-Identifier: MIT
// The chain behind a cluster's tickets: the one that [payments] names, or one of its own.
#pragma once

#include <memory>

#include "actors/peer_link.hpp"
#include "actors/purse.hpp"
#include "actors/redeemer.hpp"
#include "actors/till.hpp"
#include "payments/chain/chain_watch.hpp"
#include "payments/chain/rate_watch.hpp"
#include "payments/chain/registry_watch.hpp"
#include "runtime/chain/dev_chain.hpp"
#include "runtime/payments_config.hpp"

namespace lp::runtime {

/// One a process. Safe from any thread.
class chain_link {
 public:
  /// Starts the chain, or finds the one that another process started (dev), or looks up the
  /// contracts (rpc). ec::bad_config, naming the trouble.
  static result<std::shared_ptr<chain_link>> open(const payments_config& p);

  /// On a chain of one's own: gives the account ether and makes it known. Elsewhere that is the
  /// operator's business (lp-wallet), and nothing happens.
  result<void> introduce_orchestrator(const payments::private_key& key, const std::string& uri);
  result<void> introduce_gateway(const payments::private_key& key);
  /// Once everybody is known there: from now on a chain of one's own has a block a second.
  result<void> start_blocks();

  /// What a till and a purse ask; each follows the chain on a thread of its own.
  actors::chain_lookup lookup_for(const payments::address& recipient) const;
  actors::own_chain_lookup own_lookup_for(const payments::address& sender) const;

  /// The currencies' rates that [payments.rates] leaves to the chain; null if there are none.
  std::shared_ptr<const payments::price_feed> rates() const { return rates_; }

  /// Where the orchestrator of that address says it is reached; port 0 while that is not known. At
  /// once.
  actors::endpoint find_service(const std::string& orchestrator);

  /// Redeems what the ledger has queued, with a copy of the key. The ledger must outlive it.
  actors::redeemer_options redeeming(payments::ledger& book,
                                     const payments::private_key& key) const;

 private:
  explicit chain_link(const payments_config& p);
  result<void> start_dev(const payments_config& p, time_point deadline);
  result<void> find_contracts(const payments_config& p, time_point deadline);
  result<void> follow_rates(const payments_config& p);

  std::unique_ptr<dev_chain> own_;
  std::shared_ptr<payments::eth_client> client_;
  payments::protocol_addresses contracts_;
  std::uint64_t chain_id_ = 0;
  milliseconds poll_{};
  payments::gas_policy gas_;
  std::shared_ptr<payments::rate_watch> rates_;
  std::unique_ptr<payments::registry_watch> registry_;
};

}  // namespace lp::runtime
