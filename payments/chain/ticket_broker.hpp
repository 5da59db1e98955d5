// SPDX-License-Identifier: MIT
// TicketBroker: deposits, reserves, and winning tickets turned into ether.
#pragma once

#include <cstdint>
#include <vector>

#include "payments/chain/contracts.hpp"
#include "payments/ticket.hpp"

namespace lp::payments {

/// A sender's money on the chain, in wei.
struct sender_info {
  u256 deposit;
  u256 reserve;           ///< what is left of it in this round
  u256 claimed_in_round;  ///< of the reserve, by everybody
  /// From this round on it may withdraw; 0 unless it has asked to unlock.
  std::uint64_t withdraw_round = 0;
};

/// One winning ticket as the contract wants it.
struct redeemable_ticket {
  ticket content;
  signature signed_by_sender;
  hash32 recipient_rand;
};

/// What WinningTicketRedeemed and WinningTicketTransfer tell of one redemption.
struct redeemed_ticket {
  address sender;
  address recipient;
  std::uint64_t nonce = 0;
  hash32 recipient_rand;
  u256 face_value;
  u256 paid;  ///< wei; less than the face value if the sender's money did not suffice
};

class ticket_broker : public contract {
 public:
  using contract::contract;

  result<sender_info> sender(const payments::address& who, time_point deadline) const;
  /// What `claimant` could still take of the reserve in this round; 0 unless it is an active
  /// orchestrator.
  result<u256> claimable_reserve(const payments::address& holder, const payments::address& claimant,
                                 time_point deadline) const;
  result<bool> is_used(const hash32& ticket_hash, time_point deadline) const;
  result<hash32> ticket_hash(const ticket& t, time_point deadline) const;
  result<std::uint64_t> validity_period(time_point deadline) const;  ///< rounds
  result<std::uint64_t> unlock_period(time_point deadline) const;    ///< rounds

  message_call fund(const u256& deposit, const u256& reserve) const;
  message_call unlock() const { return call("unlock()", {}); }
  message_call cancel_unlock() const { return call("cancelUnlock()", {}); }
  message_call withdraw() const { return call("withdraw()", {}); }
  message_call redeem(const redeemable_ticket& t) const;
  /// Passes over those that cannot be redeemed: only the events tell which were.
  message_call redeem_many(const std::vector<redeemable_ticket>& tickets) const;

  /// Those of this contract among `logs`.
  std::vector<redeemed_ticket> redeemed(const std::vector<event_log>& logs) const;
};

}  // namespace lp::payments
