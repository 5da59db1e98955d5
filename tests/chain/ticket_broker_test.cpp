// SPDX-License-Identifier: MIT
// Livepeer's own contracts: what they pay and what they refuse.
#include "payments/chain/ticket_broker.hpp"

#include <gmock/gmock.h>

#include "payments/chain/chain_reader.hpp"
#include "payments/chain/wallet.hpp"
#include "tests/chain/fixture.hpp"

namespace lp::payments {
namespace {

using test::ether;
using test::get;
using test::soon;
using test::world;
using testing::HasSubstr;

struct ticket_broker_on_chain : testing::Test {
  static void SetUpTestSuite() {
    if (!test::without_chain()) shared = std::make_unique<world>();
  }
  static void TearDownTestSuite() { shared.reset(); }
  void SetUp() override { LP_NEEDS_CHAIN(); }

  static wallet of(const private_key& key) {
    return {shared->client(), key, shared->chain->chain_id(), shared->policy};
  }
  // What the contract says to it, for which it must not take it.
  static std::string refusal(const message_call& c, const private_key& by) {
    wallet w = of(by);
    const auto r = w.execute(c, soon());
    if (r) return "it was taken";
    EXPECT_TRUE(r.error().reverted) << r.error().message;
    return r.error().message;
  }
  static std::string refusal(const redeemable_ticket& t) {
    return refusal(shared->broker.redeem(t), shared->orchestrator);
  }

  static inline std::unique_ptr<world> shared;
};

TEST_F(ticket_broker_on_chain, a_funded_sender_is_seen) {
  const sender_info s = get(shared->broker.sender(shared->sender.address(), soon()));
  EXPECT_GT(s.deposit, 0);
  EXPECT_EQ(s.reserve, ether(1000));
  EXPECT_EQ(s.withdraw_round, 0U);
  EXPECT_EQ(get(shared->broker.claimable_reserve(shared->sender.address(),
                                                 shared->orchestrator.address(), soon())),
            ether(1000));
  EXPECT_EQ(get(shared->broker.claimable_reserve(shared->sender.address(), shared->sender.address(),
                                                 soon())),
            0);
}

TEST_F(ticket_broker_on_chain, our_ticket_hash_is_the_contract_s) {
  const redeemable_ticket t = shared->winner(77);
  EXPECT_EQ(get(shared->broker.ticket_hash(t.content, soon())), ticket_hash(t.content));
}

TEST_F(ticket_broker_on_chain, a_winning_ticket_is_paid_from_the_deposit_and_only_once) {
  const redeemable_ticket t = shared->winner(1);
  const u256 before = get(shared->broker.sender(shared->sender.address(), soon())).deposit;
  const auto done = get(of(shared->orchestrator).execute(shared->broker.redeem(t), soon()));
  const auto told = shared->broker.redeemed(done.logs);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].paid, ether(10));
  EXPECT_EQ(told[0].face_value, ether(10));
  EXPECT_EQ(told[0].sender, shared->sender.address());
  EXPECT_EQ(told[0].recipient, shared->orchestrator.address());
  EXPECT_EQ(told[0].nonce, 1U);
  EXPECT_EQ(told[0].recipient_rand, world::rand_of(1));
  EXPECT_EQ(get(shared->broker.sender(shared->sender.address(), soon())).deposit,
            before - ether(10));
  EXPECT_TRUE(get(shared->broker.is_used(ticket_hash(t.content), soon())));
  EXPECT_THAT(refusal(t), HasSubstr("ticket is used"));
}

TEST_F(ticket_broker_on_chain, many_are_redeemed_at_once_and_a_bad_one_holds_up_none) {
  std::vector<redeemable_ticket> tickets{shared->winner(101), shared->winner(102),
                                         shared->winner(103)};
  tickets[1].signed_by_sender.bytes[10] ^= 1;
  message_call c = shared->broker.redeem_many(tickets);
  c.gas = 1'500'000;
  const auto done = get(of(shared->orchestrator).execute(c, soon()));
  const auto told = shared->broker.redeemed(done.logs);
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].nonce, 101U);
  EXPECT_EQ(told[1].nonce, 103U);
  EXPECT_EQ(told[1].paid, ether(10));
  EXPECT_FALSE(get(shared->broker.is_used(ticket_hash(tickets[1].content), soon())));
}

TEST_F(ticket_broker_on_chain, refuses_what_is_no_winning_ticket) {
  const redeemable_ticket good = shared->winner(200);
  redeemable_ticket t = good;
  t.signed_by_sender = shared->orchestrator.sign_message(ticket_hash(t.content));
  EXPECT_THAT(refusal(t), HasSubstr("invalid signature over ticket hash"));

  t = good;
  t.recipient_rand = keccak256("another number");
  EXPECT_THAT(refusal(t), HasSubstr("recipientRand does not match recipientRandHash"));

  ticket losing = good.content;
  losing.win_prob = 0;
  EXPECT_THAT(refusal(shared->sign(losing)), HasSubstr("ticket did not win"));

  ticket unbound = good.content;
  unbound.made.block_hash = keccak256("another block");
  EXPECT_THAT(refusal(shared->sign(unbound)),
              HasSubstr("ticket creationRoundBlockHash invalid for creationRound"));

  ticket early = good.content;
  early.made.round += 1000;
  EXPECT_THAT(refusal(shared->sign(early)),
              HasSubstr("ticket creationRound does not have a block hash"));

  ticket bare = good.content;
  bare.made = {};
  EXPECT_THAT(refusal(shared->sign(bare)), HasSubstr("invalid length for ticket auxData"));

  ticket poor = good.content;
  poor.sender = shared->orchestrator.address();  // has funded nothing
  redeemable_ticket of_poor = shared->sign(poor);
  of_poor.signed_by_sender = shared->orchestrator.sign_message(ticket_hash(poor));
  EXPECT_THAT(refusal(of_poor), HasSubstr("sender deposit and reserve are zero"));
}

TEST_F(ticket_broker_on_chain, refuses_a_ticket_of_rounds_long_past) {
  const redeemable_ticket t = shared->winner(300);
  get(shared->chain->protocol().next_round(soon()));
  get(shared->chain->protocol().next_round(soon()));
  EXPECT_THAT(refusal(t), HasSubstr("ticket is expired"));
}

TEST_F(ticket_broker_on_chain, refuses_a_fund_whose_sum_is_wrong) {
  message_call c = shared->broker.fund(ether(1), ether(1));
  c.value = ether(3);
  EXPECT_THAT(refusal(c, shared->sender), HasSubstr("msg.value does not equal sum"));
}

TEST_F(ticket_broker_on_chain, the_reserve_pays_what_the_deposit_does_not) {
  world poor({}, ether(4), ether(100));
  wallet w(poor.client(), poor.orchestrator, poor.chain->chain_id(), poor.policy);
  const auto first = get(w.execute(poor.broker.redeem(poor.winner(1, ether(10))), soon()));
  const auto told = poor.broker.redeemed(first.logs);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].paid, ether(10));
  const sender_info s = get(poor.broker.sender(poor.sender.address(), soon()));
  EXPECT_EQ(s.deposit, 0);
  EXPECT_EQ(s.reserve, ether(94));
  EXPECT_EQ(s.claimed_in_round, ether(6));
  // Marked as used, although less than the face value is there.
  const auto second = get(w.execute(poor.broker.redeem(poor.winner(2, ether(1000))), soon()));
  EXPECT_EQ(poor.broker.redeemed(second.logs).at(0).paid, ether(94));
}

TEST_F(ticket_broker_on_chain, a_sender_unlocks_waits_and_withdraws) {
  world w({}, ether(50), ether(70));
  wallet sender(w.client(), w.sender, w.chain->chain_id(), w.policy);
  const auto refused = [&](const message_call& c) {
    const auto r = sender.execute(c, soon());
    return r ? "it was taken" : r.error().message;
  };
  EXPECT_THAT(refused(w.broker.withdraw()), HasSubstr("no unlock request in progress"));
  EXPECT_THAT(refused(w.broker.cancel_unlock()), HasSubstr("no unlock request in progress"));
  get(sender.execute(w.broker.unlock(), soon()));
  EXPECT_THAT(refused(w.broker.unlock()), HasSubstr("unlock already initiated"));
  get(sender.execute(w.broker.cancel_unlock(), soon()));
  get(sender.execute(w.broker.unlock(), soon()));
  const sender_info s = get(w.broker.sender(w.sender.address(), soon()));
  const round_state now = get(w.rounds.state(soon()));
  EXPECT_EQ(s.withdraw_round, now.current + get(w.broker.unlock_period(soon())));
  EXPECT_THAT(refused(w.broker.withdraw()), HasSubstr("account is locked"));
  while (get(w.rounds.state(soon())).current < s.withdraw_round) {
    get(w.chain->protocol().next_round(soon()));
  }
  const u256 before = get(w.client()->balance(w.sender.address(), soon()));
  const auto paid = get(sender.execute(w.broker.withdraw(), soon()));
  const u256 after = get(w.client()->balance(w.sender.address(), soon()));
  EXPECT_EQ(after + paid.gas_price * paid.gas_used, before + ether(120));
  wallet orchestrator(w.client(), w.orchestrator, w.chain->chain_id(), w.policy);
  const auto late = orchestrator.execute(w.broker.redeem(w.winner(1)), soon());
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().message, HasSubstr("sender is unlocked"));
}

TEST_F(ticket_broker_on_chain, rules_of_tickets_get_what_they_need_to_know) {
  const chain_reader reader(shared->client(), shared->chain->contracts(), 5'000'000'000ULL);
  const chain_view v = get(reader.view(soon()));
  const round_state r = get(shared->rounds.state(soon()));
  EXPECT_EQ(v.round, r.current);
  EXPECT_EQ(v.last_round.round, r.last_initialized);
  EXPECT_EQ(v.last_round.block_hash, r.block_hash);
  EXPECT_FALSE(v.last_round.block_hash.is_zero());
  EXPECT_GT(v.l1_block, 0U);
  EXPECT_GT(v.gas_price, 0);
  EXPECT_EQ(v.pool_size, 1U);
  const sender_funds f =
      get(reader.funds(shared->sender.address(), shared->orchestrator.address(), soon()));
  EXPECT_GT(f.deposit, 0);
  EXPECT_EQ(f.reserve, ether(1000));
  EXPECT_EQ(f.claimed_by_recipient, 0);
}

TEST_F(ticket_broker_on_chain, orchestrators_are_found_with_their_addresses) {
  const service_registry registry(shared->client(), shared->chain->contracts().service_registry);
  const auto found = get(shared->bonding.orchestrators(100, soon()));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0], shared->orchestrator.address());
  EXPECT_EQ(get(registry.service_uri(found[0], soon())), "https://127.0.0.1:8935");
  EXPECT_EQ(get(registry.service_uri(shared->sender.address(), soon())), "");
  EXPECT_TRUE(get(shared->bonding.is_active(found[0], soon())));
  EXPECT_FALSE(get(shared->bonding.is_registered(shared->sender.address(), soon())));
}

TEST_F(ticket_broker_on_chain, the_controller_knows_the_contracts) {
  const auto& expected = shared->chain->contracts();
  const auto found = get(find_protocol(shared->client(), expected.controller, soon()));
  EXPECT_EQ(found.ticket_broker, expected.ticket_broker);
  EXPECT_EQ(found.rounds_manager, expected.rounds_manager);
  EXPECT_EQ(found.bonding_manager, expected.bonding_manager);
  EXPECT_EQ(found.service_registry, expected.service_registry);
  const auto nothing = find_protocol(shared->client(), shared->sender.address(), soon());
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, ec::bad_config);
}

TEST_F(ticket_broker_on_chain, the_price_feed_is_read_and_doubted) {
  const chainlink_aggregator feed(shared->client(), shared->chain->price_feed());
  const auto now = get(shared->client()->latest_block(soon())).time;
  const auto read = get(feed.latest(now, std::chrono::hours(1), soon()));
  EXPECT_EQ(read.price, rational(3000));
  EXPECT_GE(read.updated, now);
  const auto old = feed.latest(read.updated + 3601, std::chrono::hours(1), soon());
  ASSERT_FALSE(old);
  EXPECT_THAT(old.error().message, HasSubstr("old"));
  for (const std::int64_t wrong : {0, -1}) {
    get(shared->chain->protocol().set_usd_per_eth(wrong, soon()));
    EXPECT_FALSE(feed.latest(now, std::chrono::hours(1), soon()));
  }
  get(shared->chain->protocol().set_usd_per_eth(2500, soon()));
  EXPECT_EQ(get(feed.latest(now, std::chrono::hours(1), soon())).price, rational(2500));
}

}  // namespace
}  // namespace lp::payments
