// SPDX-License-Identifier: MIT
#include "payments/chain_view.hpp"

#include <algorithm>

namespace lp::payments {

chain_view offchain_view(std::int64_t unix_seconds) {
  chain_view view;
  view.l1_block = static_cast<std::uint64_t>(std::max<std::int64_t>(unix_seconds, 0)) / 12;
  return view;
}

result<void> check_funds(const sender_funds& funds, std::uint64_t round) {
  if (funds.deposit == 0) return fail(ec::payment_required, "the sender has no deposit");
  if (funds.reserve == 0) return fail(ec::payment_required, "the sender has no reserve");
  if (funds.withdraw_round != 0 && funds.withdraw_round <= round + 1) {
    return fail(ec::payment_required,
                fmt::format("the sender may withdraw its deposit in round {}, now is round {}",
                            funds.withdraw_round, round));
  }
  return {};
}

u256 reserve_share(const sender_funds& funds, std::uint64_t pool_size) {
  if (pool_size == 0) return 0;
  const integer share = (integer(funds.reserve) + integer(funds.claimed_in_round)) / pool_size -
                        integer(funds.claimed_by_recipient);
  const integer within = std::min(std::max(share, integer(0)), integer(max_u256()));
  return static_cast<u256>(within);
}

u256 max_float(const sender_funds& funds, std::uint64_t pool_size, const u256& pending) {
  const u256 share = reserve_share(funds, pool_size);
  if (integer(funds.deposit) >= 3 * integer(pending)) return share;
  return share > pending ? u256(share - pending) : u256(0);
}

}  // namespace lp::payments
