// SPDX-License-Identifier: MIT
#include "payments/chain/chain_reader.hpp"

#include <algorithm>

namespace lp::payments {

result<chain_view> chain_reader::view(time_point deadline) const {
  const auto round = rounds_.state(deadline);
  if (!round) return fail(round.error());
  chain_view out;
  out.l1_block = round->block;
  out.round = round->current;
  out.last_round = {round->last_initialized, round->block_hash};
  if (round->block_hash.is_zero() && round->last_initialized > 0) {
    const auto before = rounds_.block_hash(round->last_initialized - 1, deadline);
    if (!before) return fail(before.error());
    out.last_round = {round->last_initialized - 1, *before};
  }
  const auto head = chain_->latest_block(deadline);
  if (!head) return fail(head.error());
  const auto tip = chain_->priority_fee(deadline);
  if (!tip) return fail(tip.error());
  const integer offered = std::min(integer(*tip), integer(max_tip_));
  const auto price = to_u256(integer(head->base_fee) + offered, "gas price");
  if (!price) return fail(price.error());
  out.gas_price = *price;
  const auto pool = bonding_.pool_size(deadline);
  if (!pool) return fail(pool.error());
  out.pool_size = *pool;
  return out;
}

result<sender_funds> chain_reader::funds(const address& sender, const address& recipient,
                                         time_point deadline) const {
  const auto info = broker_.sender(sender, deadline);
  if (!info) return fail(info.error());
  const auto claimed =
      broker_.number("claimedReserve(address,address)", {sender, recipient}, deadline);
  if (!claimed) return fail(claimed.error());
  sender_funds out;
  out.deposit = info->deposit;
  out.reserve = info->reserve;
  out.claimed_in_round = info->claimed_in_round;
  out.claimed_by_recipient = *claimed;
  out.withdraw_round = info->withdraw_round;
  return out;
}

}  // namespace lp::payments
