// SPDX-License-Identifier: MIT
// Jobs of a whole cluster, paid with tickets whose winners become ether: Livepeer's contracts on a
// chain of the test's own, whose blocks the test makes.
#include <array>
#include <csignal>
#include <cstdio>
#include <set>

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json/parse.hpp>

#include "payments/chain/abi.hpp"
#include "payments/chain/ticket_broker.hpp"
#include "payments/chain/wallet.hpp"
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
// brings. The second orchestrator's price is in USD, 3000 of which the chain takes for an ETH.
std::string redeemed_cluster(const scratch_folder& folder, const runtime::dev_chain& chain,
                             const std::string& orchestrators = R"(["orch-1", "orch-2"])",
                             std::uint16_t first_port = 0) {
  const auto port = [&](int n) { return first_port == 0 ? 0 : first_port + n; };
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
rate_every = "50ms"
rate_keep = "1s"
[payments.rates]
usd = "{}"
[[gateway]]
name = "gateway"
http = "127.0.0.1:0"
orchestrators = {}
[[orchestrator]]
name = "orch-1"
listen = "127.0.0.1:{}"
price_per_unit = "0.002 eth"
[[orchestrator]]
name = "orch-2"
listen = "127.0.0.1:{}"
price_per_unit = "6 usd"
[[worker]]
name = "worker-1"
orchestrator = "orch-1"
slots = 4
[[worker]]
name = "worker-2"
orchestrator = "orch-2"
slots = 4
)",
                     chain.url(), to_text(chain.contracts().controller), folder.path().string(),
                     to_text(chain.price_feed()), orchestrators, port(0), port(1));
}

std::string ledger_file(const scratch_folder& folder, const std::string& node) {
  return (folder.path() / node / "ledger.sqlite").string();
}

struct said {
  int status = 0;
  std::string text;  ///< standard output and error
};

said run_wallet(const std::string& arguments) {
  said out;
  FILE* pipe = ::popen((LP_BINARY_DIR "/bin/lp-wallet " + arguments + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer{};
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    out.text.append(buffer.data(), n);
  }
  out.status = ::pclose(pipe);
  return out;
}

// What lp-wallet answers beside the running node.
boost::json::value ask_wallet(const std::string& ledger, const std::string& command) {
  const said answer = run_wallet("--json --ledger " + ledger + " " + command);
  EXPECT_EQ(answer.status, 0) << command << "\n" << answer.text;
  return boost::json::parse(answer.text);
}

std::vector<payments::winning_ticket> winners(const scratch_folder& folder,
                                              const std::string& node) {
  return get(look_into(folder, node)->winners(std::nullopt, 10'000));
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
    options.round_length = 200;
    options.keep_rounds = true;
    auto started = runtime::dev_chain::start(options, soon());
    ASSERT_TRUE(started) << render(started.error());
    chain = std::move(*started);
    const auto config = get(runtime::parse_config(redeemed_cluster(folder, *chain), "f", "/"));
    ports = free_ports(2);
    for (int i = 0; i < 2; ++i) {
      const std::string node = "orch-" + std::to_string(i + 1);
      const auto key = get(runtime::open_key(config.payments, node));
      accounts[node] = key.address();
      const std::string uri = "https://127.0.0.1:" + std::to_string(ports + i);
      get(chain->add_orchestrator(key, uri, soon()));
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
  std::string account(const std::string& node) const { return to_text(accounts.at(node)); }

  scratch_folder folder;
  std::unique_ptr<runtime::dev_chain> chain;
  std::uint16_t ports = 0;
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
  const said refused = run_wallet(
      fmt::format("redeem --ledger {} --keystore {}/keys/orch-1 --passphrase-file {}/passphrase "
                  "--rpc {} --controller {}",
                  ledger_file(folder, "orch-1"), folder.path().string(), folder.path().string(),
                  chain->url(), to_text(chain->contracts().controller)));
  EXPECT_NE(refused.status, 0);
  EXPECT_NE(refused.text.find(fmt::format("process {} (", ::getpid())), std::string::npos)
      << refused.text;
  EXPECT_NE(refused.text.find("redeems by itself"), std::string::npos) << refused.text;

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

TEST_F(redeemed_cluster_test, prices_follow_the_chains_rate_and_stop_where_it_is_out_of_order) {
  test_cluster cluster(redeemed_cluster(folder, *chain));
  const auto client = cluster.client();
  const auto quoted = [&]() -> boost::json::object {
    const auto answer = client.post("/quote", R"({"pipeline": "noop"})");
    for (const auto& q : answer.body.at("quotes").as_array()) {
      if (q.at("orchestrator").as_string() == "orch-2") return q.as_object();
    }
    return {};
  };
  EXPECT_EQ(quoted().at("price").as_string(), "2000000000000000");
  get(chain->protocol().set_usd_per_eth(6000, soon()));
  const auto announced = [&] {
    client.post("/noop", "{}");  // its end is announced, with the price of then
    return client.orchestrators().at(1).at("models").at(0).at("price_per_unit").as_string();
  };
  EXPECT_TRUE(eventually([&] { return announced() == "1000000000000000"; }));
  // A client's own limit is in USD, too: 2.9 of them are not enough for the one whose price was in
  // ETH, or for the terms that the other gave before.
  EXPECT_EQ(client.post("/noop?max_price=2.9%20usd", "{}").status, 402U);

  get(chain->protocol().set_usd_per_eth(0, soon()));
  answer last;
  EXPECT_TRUE(eventually([&] {
    last = client.post("/noop?max_price=100%20usd", "{}");
    return last.status != 200U;
  }));
  EXPECT_NE(last.text.find("the price is not positive"), std::string::npos) << last.text;
}

TEST_F(redeemed_cluster_test, orchestrators_are_found_by_their_addresses) {
  const std::string both = fmt::format(R"(["{}", "{}"])", account("orch-1"), account("orch-2"));
  test_cluster cluster(redeemed_cluster(folder, *chain, both, ports));
  const auto client = cluster.client();
  std::set<std::string> seen;
  for (int i = 0; i < 4; ++i) {
    const auto answer = client.post("/noop", "{}");
    ASSERT_EQ(answer.status, 200U) << answer.text;
    seen.insert(answer.route().at(1));
  }
  EXPECT_EQ(seen, (std::set<std::string>{"orch-1", "orch-2"}));
}

TEST_F(redeemed_cluster_test, whoever_answers_in_anothers_place_gets_no_job) {
  // Somebody whose entry in the registry points to the first orchestrator.
  const auto liar = payments::private_key::generate();
  get(chain->add_orchestrator(liar, "https://127.0.0.1:" + std::to_string(ports), soon()));
  const std::string entries =
      fmt::format(R"(["{}", "{}"])", to_text(liar.address()), account("orch-2"));
  test_cluster cluster(redeemed_cluster(folder, *chain, entries, ports));
  const auto client = cluster.client();
  for (int i = 0; i < 4; ++i) {
    const auto answer = client.post("/noop", "{}");
    ASSERT_EQ(answer.status, 200U) << answer.text;
    EXPECT_EQ(answer.route().at(1), "orch-2");
  }
  cluster->kill("orch-2");
  ASSERT_TRUE(eventually([&] { return client.orchestrators().size() == 1; }));
  const auto refused = client.post("/noop", "{}");
  EXPECT_EQ(refused.status, 402U) << refused.text;
  EXPECT_NE(refused.text.find("signs as " + account("orch-1")), std::string::npos) << refused.text;
}

TEST_F(redeemed_cluster_test, an_orchestrator_that_says_nothing_of_itself_is_found_once_it_does) {
  const auto config = get(runtime::parse_config(redeemed_cluster(folder, *chain), "f", "/"));
  const auto key = get(runtime::open_key(config.payments, "orch-1"));
  const auto say = [&](const std::string& uri) {
    payments::wallet own(chain->client(), key, chain->chain_id(), {});
    const payments::contract registry(chain->client(), chain->contracts().service_registry);
    get(own.execute(registry.call("setServiceURI(string)", {payments::abi::value::of_bytes(uri)}),
                    soon()));
  };
  const std::string nonsense(1'000, ':');
  say(nonsense);
  test_cluster cluster(
      redeemed_cluster(folder, *chain, fmt::format(R"(["{}"])", account("orch-1")), ports));
  const gateway_client client(cluster->find("gateway")->where().port);
  EXPECT_EQ(client.post("/noop", "{}").status, 503U);
  say("https://127.0.0.1:" + std::to_string(ports));
  ASSERT_TRUE(client.wait_ready(1));
  EXPECT_EQ(client.post("/noop", "{}").status, 200U);
}

// Every node a process, and the chain one of them started.
TEST(dev_cluster_of_processes, shares_a_chain_and_redeems_there) {
  LP_NEEDS_CHAIN();
  const scratch_folder folder;
  const std::uint16_t port = free_ports(3);
  process_cluster cluster(fmt::format(R"(
log = "warn"
[cluster]
id = "test"
[payments]
chain = "dev"
dev_port = {}
data = "{}"
ticket_ev = "100 gwei"
face_value = "300 gwei"
[payments.rates]
usd = "dev"
[[gateway]]
name = "gateway"
http = "127.0.0.1:{}"
orchestrators = ["orch"]
[[orchestrator]]
name = "orch"
listen = "127.0.0.1:{}"
price_per_unit = "0.001 usd"
[[worker]]
name = "worker"
orchestrator = "orch"
)",
                                      port, folder.path().string(), port + 1, port + 2));
  for (const char* node : {"gateway", "orch", "worker"}) cluster.start(node);
  const gateway_client client(port + 1);
  ASSERT_TRUE(client.wait_ready(1));
  ASSERT_TRUE(eventually([&] {
    client.post("/noop", "{}");
    return !winners(folder, "orch").empty();
  }));
  // An orchestrator that was away finds the chain again and redeems what it had won.
  cluster.signal("orch", SIGTERM);
  ASSERT_EQ(cluster.wait("orch"), 0);
  cluster.start("orch");
  EXPECT_TRUE(eventually([&] { return all_paid(folder, "orch"); }));
  EXPECT_EQ(client.post("/noop", "{}").status, 200U);
  for (const char* node : {"worker", "gateway", "orch"}) {
    cluster.signal(node, SIGTERM);
    EXPECT_EQ(cluster.wait(node), 0) << node;
  }
  EXPECT_TRUE(ask_wallet(ledger_file(folder, "orch"), "audit --signatures").at("ok").as_bool());
}

}  // namespace
}  // namespace lp::testing
