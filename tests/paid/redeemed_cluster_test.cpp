// SPDX-License-Identifier: MIT
// Jobs of a whole cluster, paid with tickets whose winners become ether: Livepeer's contracts on a
// chain of the test's own, whose blocks the test makes.
#include <array>
#include <cstdio>

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "payments/chain/ticket_broker.hpp"
#include "runtime/node_money.hpp"
#include "tests/chain/fixture.hpp"
#include "tests/cluster.hpp"
#include "tests/paid/market.hpp"

namespace lp::testing {
namespace {

using payments::redemption_state;
using payments::u256;
using payments::test::ether;
using payments::test::get;
using payments::test::soon;

// A job costs four tickets of which every fourth wins; redeeming one costs a fifth of what it
// brings.
std::string redeemed_cluster(const scratch_folder& folder, const runtime::dev_chain& chain) {
  return fmt::format(R"(
log = "warn"
[cluster]
id = "test"
[payments]
chain = "rpc"
endpoints = ["{}"]
controller = "{}"
poll = "50ms"
data = "{}"
ticket_ev = "0.0005 eth"
face_value = "0.002 eth"
max_ticket_ev = "0.001 eth"
max_total_ev = "1 eth"
max_exposure = "1 eth"
[[gateway]]
name = "gateway"
http = "127.0.0.1:0"
orchestrators = ["orch-1", "orch-2"]
[[orchestrator]]
name = "orch-1"
listen = "127.0.0.1:0"
price_per_unit = "0.002 eth"
[[orchestrator]]
name = "orch-2"
listen = "127.0.0.1:0"
price_per_unit = "0.002 eth"
[[worker]]
name = "worker-1"
orchestrator = "orch-1"
slots = 4
[[worker]]
name = "worker-2"
orchestrator = "orch-2"
slots = 4
)",
                     chain.url(), to_text(chain.contracts().controller), folder.path().string());
}

std::string ledger_file(const scratch_folder& folder, const std::string& node) {
  return (folder.path() / node / "ledger.sqlite").string();
}

// What lp-wallet answers beside the running node.
boost::json::value ask_wallet(const std::string& ledger, const std::string& command) {
  const std::string line = LP_BINARY_DIR "/bin/lp-wallet --json --ledger " + ledger + " " + command;
  FILE* pipe = ::popen(line.c_str(), "r");
  std::string said;
  std::array<char, 4096> buffer{};
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    said.append(buffer.data(), n);
  }
  EXPECT_EQ(::pclose(pipe), 0) << line << "\n" << said;
  return boost::json::parse(said);
}

std::vector<payments::winning_ticket> winners(const scratch_folder& folder,
                                              const std::string& node) {
  payments::ledger_options options;
  options.file = ledger_file(folder, node);
  options.read_only = true;
  return get(get(payments::ledger::open(options))->winners(std::nullopt, 10'000));
}

bool all_paid(const scratch_folder& folder, const std::string& node) {
  for (const auto& w : winners(folder, node)) {
    EXPECT_NE(w.state.state, redemption_state::failed) << w.state.why;
    if (w.state.state != redemption_state::mined) return false;
  }
  return true;
}

class redeemed_cluster_test : public ::testing::Test {
 protected:
  void SetUp() override {
    LP_NEEDS_CHAIN();
    runtime::dev_chain_options options;
    options.round_length = 1000;
    auto started = runtime::dev_chain::start(options, soon());
    ASSERT_TRUE(started) << render(started.error());
    chain = std::move(*started);
    const auto config = get(runtime::parse_config(redeemed_cluster(folder, *chain), "f", "/"));
    for (const char* node : {"orch-1", "orch-2"}) {
      const auto key = get(runtime::open_key(config.payments, node));
      accounts[node] = key.address();
      get(chain->add_orchestrator(key, "https://127.0.0.1:8935", soon()));
    }
    const auto key = get(runtime::open_key(config.payments, "gateway"));
    accounts["gateway"] = key.address();
    get(chain->add_sender(key, ether(10'000), ether(10'000), soon()));
  }

  // What the sender has paid out of its deposit, wei.
  payments::integer spent() const {
    const payments::ticket_broker broker(chain->client(), chain->contracts().ticket_broker);
    return payments::integer(ether(10'000)) -
           payments::integer(get(broker.sender(accounts.at("gateway"), soon())).deposit);
  }
  // What the protocol holds for the orchestrator as fees, wei.
  u256 fees(const std::string& node) const {
    const payments::rounds_manager rounds(chain->client(), chain->contracts().rounds_manager);
    const payments::bonding_manager bonds(chain->client(), chain->contracts().bonding_manager);
    const auto round = get(rounds.state(soon())).current;
    return get(
        bonds.number("pendingFees(address,uint256)", {accounts.at(node), u256(round)}, soon()));
  }
  scratch_folder folder;
  std::unique_ptr<runtime::dev_chain> chain;
  std::map<std::string, payments::address> accounts;
};

TEST_F(redeemed_cluster_test, jobs_become_ether_also_when_an_orchestrator_restarts_in_between) {
  test_cluster cluster(redeemed_cluster(folder, *chain));
  const auto client = cluster.client();
  const auto work = [&] {
    const auto answer = client.post("/noop", R"({"data": "x"})");
    ASSERT_EQ(answer.status, 200U) << answer.text;
  };
  // A thousand jobs in which no ticket wins are not to be expected.
  for (int i = 0; i < 1000; ++i) {
    work();
    if (winners(folder, "orch-1").size() > 1 && winners(folder, "orch-2").size() > 1) break;
  }
  EXPECT_EQ(spent(), 0) << "nothing may be redeemed while more tickets can come";

  cluster->kill("orch-1");
  get(chain->protocol().mine(41, soon()));
  ASSERT_TRUE(cluster->start_node("orch-1"));
  payments::integer paid = 0;
  for (const char* node : {"orch-1", "orch-2"}) {
    ASSERT_TRUE(eventually([&] { return all_paid(folder, node); })) << node;
    payments::integer of_node = 0;
    for (const auto& w : winners(folder, node)) of_node += payments::integer(w.state.paid);
    EXPECT_EQ(of_node, payments::integer(ether(2)) * winners(folder, node).size());
    EXPECT_GE(payments::integer(fees(node)) + 1000, of_node);
    paid += of_node;
  }
  EXPECT_EQ(spent(), paid) << "what left the deposit is what the ledgers say came in";

  // The tickets that were offered before are over; the gateway asks for others by itself.
  ASSERT_TRUE(client.wait_ready(2));
  for (int i = 0; i < 4; ++i) work();
  for (const char* node : {"orch-1", "orch-2"}) {
    const auto all = winners(folder, node);
    ASSERT_GT(all.size(), 1U);
    std::size_t mined = 0;
    for (const auto& w : all) mined += w.state.state == redemption_state::mined ? 1 : 0;
    const auto audit = ask_wallet(ledger_file(folder, node), "audit --signatures");
    EXPECT_TRUE(audit.at("ok").as_bool()) << audit;
    EXPECT_EQ(audit.at("winners").to_number<std::size_t>(), all.size());
    const auto listed = ask_wallet(ledger_file(folder, node), "tickets list --state mined");
    EXPECT_EQ(listed.at("tickets").as_array().size(), mined);
  }
}

}  // namespace
}  // namespace lp::testing
