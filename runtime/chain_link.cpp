// SPDX-License-Identifier: MIT
#include "runtime/chain_link.hpp"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "net/url.hpp"
#include "payments/chain/ticket_broker.hpp"
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

chain_link::chain_link(const payments_config& p) : poll_(p.poll) {
  gas_.max_fee = static_cast<payments::u256>(payments::floor(p.max_gas_price));
  gas_.max_tip = static_cast<payments::u256>(payments::floor(p.max_tip));
  gas_.confirmations = static_cast<unsigned>(p.confirmations);
}

result<std::shared_ptr<chain_link>> chain_link::open(const payments_config& p) {
  std::shared_ptr<chain_link> out(new chain_link(p));
  const time_point deadline = clock::now() + start_time;
  const bool dev = p.chain == payments_config::chain_kind::dev;
  const auto there = dev ? out->start_dev(p, deadline) : out->find_contracts(p, deadline);
  if (!there) return trouble(there.error());
  if (auto ok = out->follow_rates(p); !ok) return trouble(ok.error());
  payments::registry_watch_options services;
  services.refresh_every = 12 * p.poll;
  out->registry_ = std::make_unique<payments::registry_watch>(
      out->client_, out->contracts_.service_registry, services);
  return out;
}

result<void> chain_link::start_dev(const payments_config& p, time_point deadline) {
  dev_chain_options options;
  options.keep_rounds = true;
  options.round_length = 200;  // long enough for tickets to ripen: their terms expire first
  options.free_gas = true;
  options.port = p.dev_port;
  options.shared = p.dev_port != 0;
  // What was won in one run is redeemed in the next.
  std::error_code bad;
  std::filesystem::create_directories(p.data, bad);
  options.state = p.data / "chain.json";
  auto started = dev_chain::start(options, deadline);
  if (!started) return fail(started.error());
  own_ = std::move(*started);
  client_ = own_->client();
  contracts_ = own_->contracts();
  chain_id_ = own_->chain_id();
  log::info("chain", "{} answers at {}", own_->owner() ? "a chain of our own" : "a chain that runs",
            own_->url());
  return {};
}

result<void> chain_link::find_contracts(const payments_config& p, time_point deadline) {
  payments::rpc_options options;
  options.endpoints = p.endpoints;
  client_ = std::make_shared<payments::eth_client>(connect_rpc(std::move(options)));
  const auto controller = payments::parse_address(p.controller, "controller");
  if (!controller) return fail(controller.error());
  const auto id = client_->chain_id(deadline);
  if (!id) return fail(id.error());
  chain_id_ = *id;
  const auto found = payments::find_protocol(client_, *controller, deadline);
  if (!found) return fail(found.error());
  contracts_ = *found;
  return {};
}

result<void> chain_link::follow_rates(const payments_config& p) {
  std::map<std::string, payments::address> aggregators;
  for (const auto& [currency, where] : p.aggregators) {
    if (where == "dev") {
      aggregators[currency] = own_->price_feed();
      continue;
    }
    const auto parsed = payments::parse_address(where, "rates." + currency);
    if (!parsed) return fail(parsed.error());
    aggregators[currency] = *parsed;
  }
  if (aggregators.empty()) return {};
  payments::rate_watch_options options;
  options.refresh_every = p.rate_every;
  options.most_age = std::chrono::duration_cast<seconds>(p.rate_max_age);
  options.keep = p.rate_keep;
  rates_ = std::make_shared<payments::rate_watch>(client_, aggregators, options);
  return {};
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
  const payments::ticket_broker broker(client_, contracts_.ticket_broker);
  const auto known = broker.sender(key.address(), deadline);
  if (!known) return trouble(known.error());
  if (2 * payments::integer(known->deposit) > payments::integer(own_funds)) return {};
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
  return [lookup, sender](std::int64_t) -> result<actors::own_chain_state> {
    const auto state = lookup(sender);
    if (!state) return fail(state.error());
    return actors::own_chain_state{state->view, state->funds};
  };
}

// The chain holds what strangers wrote. Nodes speak CAF's protocol, whatever the scheme says.
actors::endpoint chain_link::find_service(const std::string& orchestrator) {
  const auto who = payments::parse_address(orchestrator, "orchestrator");
  if (!who) return {};
  const auto where = net::parse_url(registry_->find(*who));
  if (!where) return {};
  return {where->host, where->port};
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
