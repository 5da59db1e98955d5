// SPDX-License-Identifier: MIT
// Reads from the chain what the rules of tickets need to know (payments/chain_view.hpp).
#pragma once

#include <memory>

#include "payments/chain/contracts.hpp"
#include "payments/chain/ticket_broker.hpp"
#include "payments/chain_view.hpp"

namespace lp::payments {

/// Each call asks the node several times: not for an actor's own thread. Safe from any thread if
/// the transport is.
class chain_reader {
 public:
  /// `max_tip`: wei for a unit of gas that are offered to the block's maker at most.
  chain_reader(std::shared_ptr<eth_client> chain, const protocol_addresses& where, u256 max_tip)
      : chain_(chain),
        max_tip_(std::move(max_tip)),
        rounds_(chain, where.rounds_manager),
        bonding_(chain, where.bonding_manager),
        broker_(chain, where.ticket_broker) {}

  /// Where a round's block hash is zero (which Arbitrum has had), the round before it is the one
  /// that tickets are bound to.
  result<chain_view> view(time_point deadline) const;

  /// A sender's money, with what `recipient` has claimed of it.
  result<sender_funds> funds(const address& sender, const address& recipient,
                             time_point deadline) const;

 private:
  std::shared_ptr<eth_client> chain_;
  u256 max_tip_;
  rounds_manager rounds_;
  bonding_manager bonding_;
  ticket_broker broker_;
};

}  // namespace lp::payments
