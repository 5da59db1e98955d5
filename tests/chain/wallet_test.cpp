// SPDX-License-Identifier: MIT
// Transactions on a real chain: fees, caps, nonces, replacement, reorganisations, restarts.
#include "payments/chain/wallet.hpp"

#include <filesystem>
#include <thread>

#include <gmock/gmock.h>

#include "payments/chain/event_poller.hpp"
#include "runtime/chain/http_transport.hpp"
#include "tests/chain/fixture.hpp"

namespace lp::payments {
namespace {

using test::ether;
using test::get;
using test::soon;
using testing::HasSubstr;

namespace json = boost::json;

struct wallet_on_chain : testing::Test {
  void SetUp() override {
    LP_NEEDS_CHAIN();
    runtime::dev_chain_options options;
    folder = std::filesystem::temp_directory_path() / ("lp-wallet-" + random_hex(8));
    std::filesystem::create_directories(folder);
    options.state = folder / "state.json";
    chain = get(runtime::dev_chain::start(options, soon()));
    get(chain->protocol().give_ether(key.address(), ether(100'000), soon()));
    policy.poll_interval = milliseconds(2);
  }
  void TearDown() override {
    chain.reset();
    std::filesystem::remove_all(folder);
  }

  wallet make() { return {chain->client(), key, chain->chain_id(), policy}; }
  json::value ask(std::string_view method, json::array params = {}) {
    return get(chain->client()->rpc().call(method, std::move(params), soon()));
  }
  message_call pay(const u256& value) const {
    message_call c;
    c.to = elsewhere.address();
    c.value = value;
    return c;
  }
  u256 received() { return get(chain->client()->balance(elsewhere.address(), soon())); }

  std::filesystem::path folder;
  std::unique_ptr<runtime::dev_chain> chain;
  private_key key = private_key::generate();
  private_key elsewhere = private_key::generate();
  gas_policy policy;
};

TEST_F(wallet_on_chain, pays_and_counts_its_nonces) {
  wallet w = make();
  for (std::uint64_t i = 1; i <= 3; ++i) {
    const auto done = get(w.execute(pay(ether(1)), soon()));
    EXPECT_EQ(done.gas_used, 21'000U);
    EXPECT_EQ(received(), ether(i));
  }
  EXPECT_EQ(get(chain->client()->transaction_count(key.address(), false, soon())), 3U);
}

TEST_F(wallet_on_chain, two_wallets_of_one_key_do_not_get_in_each_other_s_way) {
  // As a node and the command line tool beside it.
  wallet a = make();
  wallet b = make();
  std::thread other([&] {
    for (int i = 0; i < 20; ++i) get(b.execute(pay(ether(1)), soon()));
  });
  for (int i = 0; i < 20; ++i) get(a.execute(pay(ether(1)), soon()));
  other.join();
  EXPECT_EQ(received(), ether(40));
}

TEST_F(wallet_on_chain, refuses_to_pay_more_for_gas_than_its_cap) {
  policy.max_fee = 100'000'000'000ULL;
  wallet w = make();
  ask("anvil_setNextBlockBaseFeePerGas", {to_quantity(u256(400'000'000'000ULL))});
  ask("anvil_mine", {"0x1"});
  const auto spike = w.execute(pay(1), soon());
  ASSERT_FALSE(spike);
  EXPECT_EQ(spike.error().code, ec::unavailable);
  EXPECT_THAT(spike.error().message, HasSubstr("the cap is 100000000000"));
  ask("anvil_setNextBlockBaseFeePerGas", {to_quantity(u256(40'000'000'000ULL))});
  ask("anvil_mine", {"0x1"});
  EXPECT_TRUE(get(w.execute(pay(1), soon())).succeeded);
}

TEST_F(wallet_on_chain, refuses_a_call_beyond_its_gas_cap) {
  policy.max_gas = 20'000;
  const auto refused = make().execute(pay(1), soon());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("21000 gas, the cap is 20000"));
}

TEST_F(wallet_on_chain, replaces_a_transaction_that_is_stuck) {
  policy.stuck_after = milliseconds(0);
  wallet w = make();
  ask("evm_setAutomine", {false});
  const auto first = get(w.prepare(pay(ether(5)), soon()));
  const signed_transaction sent = w.sign(first);
  ASSERT_EQ(get(w.broadcast(sent.raw, soon())).outcome, broadcast_outcome::accepted);
  EXPECT_EQ(get(w.broadcast(sent.raw, soon())).outcome, broadcast_outcome::accepted);  // known
  const auto second = get(w.replacement(first, soon()));
  EXPECT_EQ(second.nonce, first.nonce);
  EXPECT_GE(second.max_fee * 100, first.max_fee * 110);
  const signed_transaction again = w.sign(second);
  ASSERT_EQ(get(w.broadcast(again.raw, soon())).outcome, broadcast_outcome::accepted);
  EXPECT_EQ(get(w.broadcast(sent.raw, soon())).outcome, broadcast_outcome::nonce_taken);
  ask("anvil_mine", {"0x1"});
  EXPECT_FALSE(get(chain->client()->transaction_receipt(sent.hash, soon())));
  EXPECT_TRUE(get(chain->client()->transaction_receipt(again.hash, soon())));
  EXPECT_EQ(received(), ether(5));
}

TEST_F(wallet_on_chain, does_not_replace_beyond_its_cap) {
  wallet w = make();
  transaction t = get(w.prepare(pay(1), soon()));
  t.max_fee = policy.max_fee;
  const auto no = w.replacement(t, soon());
  ASSERT_FALSE(no);
  EXPECT_THAT(no.error().message, HasSubstr("cap"));
}

TEST_F(wallet_on_chain, waits_for_as_many_blocks_as_it_is_told) {
  policy.confirmations = 3;
  wallet w = make();
  const auto t = w.sign(get(w.prepare(pay(1), soon())));
  ask("evm_setAutomine", {false});
  get(w.broadcast(t.raw, soon()));
  ask("anvil_mine", {"0x1"});
  EXPECT_FALSE(get(w.confirmed(t.hash, soon())));
  ask("anvil_mine", {"0x1"});
  EXPECT_FALSE(get(w.confirmed(t.hash, soon())));
  ask("anvil_mine", {"0x1"});
  EXPECT_TRUE(get(w.confirmed(t.hash, soon())));
}

TEST_F(wallet_on_chain, a_deadline_ends_the_wait_for_a_block) {
  wallet w = make();
  ask("evm_setAutomine", {false});
  const auto late = w.execute(pay(1), clock::now() + milliseconds(50));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ec::deadline_exceeded);
}

TEST_F(wallet_on_chain, a_poor_account_is_told_so) {
  const auto refused = make().execute(pay(ether(100'000'000)), soon());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, testing::ContainsRegex("[Ii]nsufficient"));
}

TEST_F(wallet_on_chain, goes_on_after_the_node_was_restarted) {
  wallet w = make();
  get(w.execute(pay(ether(1)), soon()));
  get(chain->restart(false, soon()));
  EXPECT_EQ(received(), ether(1));
  get(w.execute(pay(ether(1)), soon()));
  EXPECT_EQ(received(), ether(2));
}

TEST_F(wallet_on_chain, a_second_endpoint_takes_over_when_the_first_is_down) {
  rpc_options options;
  options.endpoints = {"http://127.0.0.1:1", chain->url()};
  options.first_delay = milliseconds(1);
  const auto rpc = runtime::connect_rpc(options);
  eth_client client(rpc);
  EXPECT_EQ(get(client.chain_id(soon())), 31337U);
  EXPECT_EQ(rpc->endpoint_in_use(), 1U);
  options.endpoints.pop_back();
  eth_client nobody(runtime::connect_rpc(options));
  const auto down = nobody.chain_id(soon());
  ASSERT_FALSE(down);
  EXPECT_EQ(down.error().code, ec::unavailable);
  EXPECT_THAT(down.error().message, HasSubstr("eth_chainId"));
}

TEST_F(wallet_on_chain, events_are_followed_across_a_reorganisation) {
  const ticket_broker broker(chain->client(), chain->contracts().ticket_broker);
  const hash32 funded = abi::topic("DepositFunded(address,uint256)");
  poll_options options;
  options.contract = broker.address();
  options.topics = {funded};
  options.blocks_a_step = 7;
  event_poller poller(chain->client(), options);
  wallet w = make();

  poll_position at;
  std::size_t seen = 0;
  const auto catch_up = [&] {
    std::optional<std::uint64_t> undone;
    for (bool complete = false; !complete;) {
      // Kept as text between the steps, as it would be over a restart.
      at = get(poll_position::from_text(at.to_text()));
      const poll_step step = get(poller.poll(at, soon()));
      if (step.undone_from) undone = step.undone_from;
      seen += step.events.size();
      at = step.position;
      complete = step.complete;
    }
    return undone;
  };
  EXPECT_FALSE(catch_up());
  EXPECT_EQ(seen, 0U);
  get(w.execute(broker.fund(ether(1), 0), soon()));
  const auto second = get(w.execute(broker.fund(ether(2), 0), soon()));
  EXPECT_FALSE(catch_up());
  EXPECT_EQ(seen, 2U);
  EXPECT_FALSE(catch_up());
  EXPECT_EQ(seen, 2U);
  // The last block is made anew, without its transaction.
  ask("anvil_reorg", {1, json::array{}});
  const auto undone = catch_up();
  ASSERT_TRUE(undone);
  EXPECT_EQ(*undone, second.block);
  EXPECT_EQ(seen, 2U);
  get(w.execute(broker.fund(ether(3), 0), soon()));
  EXPECT_FALSE(catch_up());
  EXPECT_EQ(seen, 3U);
}

}  // namespace
}  // namespace lp::payments
