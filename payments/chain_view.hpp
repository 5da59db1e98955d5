// SPDX-License-Identifier: MIT
// What ticket rules need to know of the chain, as plain values: whoever follows the chain passes
// them in. Without a chain there are no funds to know of, and blocks are counted by the clock.
#pragma once

#include <cstdint>

#include "payments/ticket.hpp"
#include "payments/u256.hpp"

namespace lp::payments {

struct chain_view {
  std::uint64_t l1_block = 0;  ///< newest known
  std::uint64_t round = 0;     ///< current
  creation last_round;         ///< last initialised round and its block hash; zeros without a chain
  u256 gas_price;              ///< wei
  std::uint64_t pool_size = 0;  ///< active orchestrators, among whom reserves are shared
};

/// The view of a node without a chain: one block is 12 seconds of `unix_seconds`, which is the time
/// of whoever takes the tickets; gas is free.
chain_view offchain_view(std::int64_t unix_seconds);

/// A sender's money on chain, as TicketBroker::getSenderInfo and claimedReserve tell it; wei.
struct sender_funds {
  u256 deposit;
  u256 reserve;                      ///< funds remaining
  u256 claimed_in_round;             ///< from the reserve, by all, in the current round
  u256 claimed_by_recipient;         ///< from the reserve, by this recipient
  std::uint64_t withdraw_round = 0;  ///< 0: not unlocked
};

/// Reserve and deposit are above zero and no withdrawal is possible in this round or the next;
/// ec::payment_required, naming which of them it is, otherwise.
result<void> check_funds(const sender_funds& funds, std::uint64_t round);

/// (reserve + claimed in this round) / pool size - claimed by this recipient; whole wei, never
/// negative, 0 for pool size 0.
u256 reserve_share(const sender_funds& funds, std::uint64_t pool_size);

/// What tickets of this sender may be worth: the share, less what is pending (winners that are not
/// redeemed yet) unless the deposit is at least three times that.
u256 max_float(const sender_funds& funds, std::uint64_t pool_size, const u256& pending);

}  // namespace lp::payments
