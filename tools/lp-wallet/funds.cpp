// SPDX-License-Identifier: MIT
#include "payments/amount.hpp"
#include "payments/chain/ticket_broker.hpp"
#include "tools/lp-wallet/amount.hpp"
#include "tools/lp-wallet/commands.hpp"

namespace lp::wallet_tool {

namespace json = boost::json;
using payments::ticket_broker;

namespace {

// Amounts are texts of wei: JSON's numbers would lose digits.
std::string text(const payments::u256& wei) {
  return payments::to_text(wei);
}

// Sends what `what` makes of the broker and tells what became of it.
template <class F>
answer change(const options& o, F what) {
  const auto key = open_key(o);
  if (!key) return fail(key.error());
  const auto c = connect(o);
  if (!c) return fail(c.error());
  const ticket_broker broker(c->client, c->where.ticket_broker);
  payments::wallet sender(c->client, *key, c->chain_id, c->policy);
  const auto done = sender.execute(what(broker), o.deadline());
  if (!done) return fail(static_cast<const error&>(done.error()));
  const auto now = broker.sender(key->address(), o.deadline());
  if (!now) return fail(now.error());
  const auto paid = payments::to_u256(
      payments::integer(done->gas_price) * payments::integer(done->gas_used), "fee");
  return json::object{{"address", payments::to_text(key->address())},
                      {"transaction", "0x" + done->transaction.hex()},
                      {"block", done->block},
                      {"fee_wei", text(paid.value_or(0))},
                      {"deposit_wei", text(now->deposit)},
                      {"reserve_wei", text(now->reserve)},
                      {"withdraw_round", now->withdraw_round}};
}

}  // namespace

answer balance(const options& o) {
  const auto who = chosen_address(o);
  if (!who) return fail(who.error());
  const auto c = connect(o);
  if (!c) return fail(c.error());
  const auto deadline = o.deadline();
  const auto ether = c->client->balance(*who, deadline);
  if (!ether) return fail(ether.error());
  const auto info = ticket_broker(c->client, c->where.ticket_broker).sender(*who, deadline);
  if (!info) return fail(info.error());
  const auto round = payments::rounds_manager(c->client, c->where.rounds_manager).state(deadline);
  if (!round) return fail(round.error());
  const auto active =
      payments::bonding_manager(c->client, c->where.bonding_manager).is_active(*who, deadline);
  if (!active) return fail(active.error());
  return json::object{{"address", payments::to_text(*who)},
                      {"ether", ether_text(*ether)},
                      {"ether_wei", text(*ether)},
                      {"deposit", ether_text(info->deposit)},
                      {"deposit_wei", text(info->deposit)},
                      {"reserve", ether_text(info->reserve)},
                      {"reserve_wei", text(info->reserve)},
                      {"withdraw_round", info->withdraw_round},
                      {"round", round->current},
                      {"active_orchestrator", *active},
                      {"chain_id", c->chain_id}};
}

answer fund(const options& o, const std::string& deposit, const std::string& reserve) {
  const auto d = payments::parse_wei(deposit, "--deposit");
  if (!d) return fail(d.error());
  const auto r = payments::parse_wei(reserve, "--reserve");
  if (!r) return fail(r.error());
  if (*d == 0 && *r == 0) {
    return fail(ec::bad_request, "nothing to fund: give --deposit, --reserve or both");
  }
  return change(o, [&](const ticket_broker& b) { return b.fund(*d, *r); });
}

answer unlock(const options& o, bool cancel) {
  return change(o, [&](const ticket_broker& b) { return cancel ? b.cancel_unlock() : b.unlock(); });
}

answer withdraw(const options& o) {
  return change(o, [](const ticket_broker& b) { return b.withdraw(); });
}

}  // namespace lp::wallet_tool
