// SPDX-License-Identifier: MIT
#include <csignal>

#include "payments/amount.hpp"
#include "runtime/chain/dev_chain.hpp"
#include "tools/lp-wallet/commands.hpp"

namespace lp::wallet_tool {

namespace json = boost::json;
using runtime::dev_chain;

namespace {

result<void> populate(dev_chain& chain, options o, const dev_chain_request& r) {
  const auto deposit = payments::parse_wei(r.deposit, "--deposit");
  if (!deposit) return fail(deposit.error());
  const auto reserve = payments::parse_wei(r.reserve, "--reserve");
  if (!reserve) return fail(reserve.error());
  for (const std::string& given : r.orchestrators) {
    const auto equals = given.find('=');
    o.address = given.substr(0, equals);
    const std::string uri =
        equals == std::string::npos ? "https://127.0.0.1:8935" : given.substr(equals + 1);
    const auto key = open_key(o);
    if (!key) return fail(key.error());
    if (auto done = chain.add_orchestrator(*key, uri, o.deadline()); !done) return done;
  }
  for (const std::string& given : r.senders) {
    o.address = given;
    const auto key = open_key(o);
    if (!key) return fail(key.error());
    if (auto done = chain.add_sender(*key, *deposit, *reserve, o.deadline()); !done) return done;
  }
  return {};
}

}  // namespace

answer run_dev_chain(const options& o, const dev_chain_request& r,
                     void (*ready)(const json::object&)) {
  // Before any thread is started, so that the signals wait for sigwait() alone.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  runtime::dev_chain_options wanted;
  wanted.port = r.port;
  wanted.round_length = r.round_length;
  wanted.state = r.state;
  wanted.keep_rounds = true;
  // Deploying and populating want a block at once for each transaction.
  auto chain = dev_chain::start(wanted, o.deadline());
  if (!chain) return fail(chain.error());
  if (auto done = populate(**chain, o, r); !done) return fail(done.error());
  if (r.block_time_s > 0) {
    auto set = (*chain)->mine_every(std::chrono::seconds(r.block_time_s), o.deadline());
    if (!set) return fail(set.error());
  }
  const payments::protocol_addresses& a = (*chain)->contracts();
  ready(json::object{{"url", (*chain)->url()},
                     {"chain_id", (*chain)->chain_id()},
                     {"controller", payments::to_text(a.controller)},
                     {"ticket_broker", payments::to_text(a.ticket_broker)},
                     {"rounds_manager", payments::to_text(a.rounds_manager)},
                     {"bonding_manager", payments::to_text(a.bonding_manager)},
                     {"service_registry", payments::to_text(a.service_registry)},
                     {"price_feed", payments::to_text((*chain)->price_feed())}});
  int number = 0;
  sigwait(&ends, &number);
  (*chain)->stop();
  return json::object{{"stopped", true}};
}

}  // namespace lp::wallet_tool
