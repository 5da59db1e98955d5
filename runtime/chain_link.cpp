// SPDX-License-Identifier: MIT
#include "runtime/chain_link.hpp"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "runtime/base/log.hpp"
#include "runtime/chain/http_transport.hpp"

namespace lp::runtime {

namespace {

constexpr std::chrono::seconds start_time{60};
// A demonstration wants to see blocks, rounds and redemptions come.
constexpr std::chrono::seconds own_block_time{1};
// Deposit and reserve of a gateway on a chain of its own: 100 ETH each.
const auto own_funds = static_cast<payments::u256>(payments::integer("100000000000000000000"));

tl::unexpected<error> trouble(const error& e) {
  return fail(ec::bad_config, fmt::format("[payments] chain: {}", render(e)));
}

}  // namespace

result<std::shared_ptr<chain_link>> chain_link::open(const payments_config& p) {
  std::shared_ptr<chain_link> out(new chain_link);
  out->poll_ = p.poll;
  out->gas_.max_fee = static_cast<payments::u256>(payments::floor(p.max_gas_price));
  out->gas_.max_tip = static_cast<payments::u256>(payments::floor(p.max_tip));
  out->gas_.confirmations = static_cast<unsigned>(p.confirmations);
  const time_point deadline = clock::now() + start_time;
  if (p.chain == payments_config::chain_kind::dev) {
    dev_chain_options options;
    options.keep_rounds = true;
    options.round_length = 200;  // long enough for tickets to ripen: their terms expire first
    options.free_gas = true;
    auto started = dev_chain::start(options, deadline);
    if (!started) return trouble(started.error());
    out->own_ = std::move(*started);
    out->client_ = out->own_->client();
    out->contracts_ = out->own_->contracts();
    out->chain_id_ = out->own_->chain_id();
    log::info("chain", "a chain of our own answers at {}", out->own_->url());
    return out;
  }
  payments::rpc_options options;
  options.endpoints = p.endpoints;
  out->client_ = std::make_shared<payments::eth_client>(connect_rpc(std::move(options)));
  const auto controller = payments::parse_address(p.controller, "controller");
  if (!controller) return trouble(controller.error());
  const auto id = out->client_->chain_id(deadline);
  if (!id) return trouble(id.error());
  out->chain_id_ = *id;
  const auto found = payments::find_protocol(out->client_, *controller, deadline);
  if (!found) return trouble(found.error());
  out->contracts_ = *found;
  return out;
}

result<void> chain_link::introduce_orchestrator(const payments::private_key& key,
                                                const std::string& uri) {
  if (!own_) return {};
  const auto done = own_->add_orchestrator(key, uri, clock::now() + start_time);
  if (!done) return trouble(done.error());
  return {};
}

result<void> chain_link::start_blocks() {
  if (!own_) return {};
  const auto done = own_->mine_every(own_block_time, clock::now() + start_time);
  if (!done) return trouble(done.error());
  return {};
}

result<void> chain_link::introduce_gateway(const payments::private_key& key) {
  if (!own_) return {};
  const time_point deadline = clock::now() + start_time;
  if (auto ok = own_->add_sender(key, own_funds, own_funds, deadline); !ok) {
    return trouble(ok.error());
  }
  return {};
}

actors::chain_lookup chain_link::lookup_for(const payments::address& recipient) const {
  payments::chain_watch_options options;
  options.recipient = recipient;
  options.view_every = poll_;
  options.funds_every = 6 * poll_;
  options.max_tip = gas_.max_tip;
  auto watch = std::make_shared<payments::chain_watch>(client_, contracts_, options);
  return [watch](const payments::address& sender) -> result<actors::chain_state> {
    const auto view = watch->view();
    if (!view) return fail(view.error());
    const auto funds = watch->funds(sender);
    if (!funds) return fail(funds.error());
    return actors::chain_state{*view, *funds};
  };
}

actors::own_chain_lookup chain_link::own_lookup_for(const payments::address& sender) const {
  const auto lookup = lookup_for(sender);
  return [lookup, sender]() -> result<actors::own_chain_state> {
    const auto state = lookup(sender);
    if (!state) return fail(state.error());
    return actors::own_chain_state{state->view, state->funds};
  };
}

actors::redeemer_options chain_link::redeeming(payments::ledger& book,
                                               const payments::private_key& key) const {
  auto secret = std::make_shared<payments::private_key>(key.clone());
  auto worker = new payments::redeemer(book, client_, contracts_, *secret, chain_id_, gas_, {});
  actors::redeemer_options out;
  out.worker = {worker, [secret](payments::redeemer* r) { delete r; }};
  out.interval = 3 * poll_;
  out.busy_interval = std::min(poll_, out.busy_interval);
  return out;
}

}  // namespace lp::runtime
