// SPDX-License-Identifier: MIT
// Winning tickets from the ledger to ether, with everything that can come in between.
#include "payments/chain/redeemer.hpp"

#include <filesystem>

#include <gmock/gmock.h>

#include "runtime/chain/http_transport.hpp"
#include "tests/chain/fixture.hpp"

namespace lp::payments {
namespace {

using test::ether;
using test::get;
using test::soon;
using test::world;
using testing::HasSubstr;

namespace fs = std::filesystem;
namespace json = boost::json;

struct crash {};

/// Real HTTP that ends the process, as far as a test can, at the request of a given number: before
/// it is sent, or before its answer is seen.
class crashing : public transport {
 public:
  crashing(std::size_t at, bool sent) : left_(at), sent_(sent) {}
  result<answer> post(const std::string& url, const std::string& body,
                      time_point deadline) override {
    if (left_ > 0) {
      --left_;
      return http_.post(url, body, deadline);
    }
    if (sent_) (void)http_.post(url, body, deadline);
    throw crash{};
  }

 private:
  runtime::http_transport http_;
  std::size_t left_;
  bool sent_;
};

struct redeemer_on_chain : testing::Test {
  void SetUp() override {
    LP_NEEDS_CHAIN();
    folder = fs::temp_directory_path() / ("lp-redeemer-" + random_hex(8));
    fs::create_directories(folder);
    w = std::make_unique<world>();
    open();
  }
  void TearDown() override {
    book.reset();
    w.reset();
    fs::remove_all(folder);
  }

  void open() {
    book.reset();
    ledger_options o;
    o.file = folder / "ledger.sqlite";
    book = get(ledger::open(o));
  }

  /// Puts a winning ticket into the ledger's queue, as a payment would; its hash.
  hash32 win(std::uint32_t nonce, const u256& face_value = ether(10),
             std::optional<signature> forged = std::nullopt) {
    const redeemable_ticket t = w->winner(nonce, face_value);
    checked_payment p;
    p.sender = t.content.sender;
    p.params.recipient = t.content.recipient;
    p.params.face_value = face_value;
    p.params.win_prob = max_u256();
    p.params.recipient_rand_hash = t.content.recipient_rand_hash;
    p.params.expiration_block = get(w->rounds.state(soon())).block + 3;
    p.params.made = t.content.made;
    p.agreed = price{rational(1)};
    p.recipient_rand = t.recipient_rand;
    p.ev = expected_value(p.params);
    p.tickets = {{{nonce, forged.value_or(t.signed_by_sender)}, true}};
    const auto taken = book->receive(p).get();
    if (!taken || taken->winners != 1) throw std::runtime_error("the ledger took no winner");
    return ticket_hash(t.content);
  }
  /// The parameters' expiry passes.
  void ripen() { get(w->chain->protocol().mine(4, soon())); }

  redeemer make(std::shared_ptr<eth_client> client = nullptr, redeemer_config c = {}) {
    return {*book,
            client ? client : w->client(),
            w->chain->contracts(),
            w->orchestrator,
            w->chain->chain_id(),
            w->policy,
            c};
  }
  redemption state(const hash32& ticket) { return get(book->winner(ticket)).state; }
  u256 deposit() { return get(w->broker.sender(w->sender.address(), soon())).deposit; }
  json::value ask(std::string_view method, json::array params = {}) {
    return get(w->client()->rpc().call(method, std::move(params), soon()));
  }
  /// Steps until the ticket is mined or given up.
  redemption finish(redeemer& r, const hash32& ticket) {
    for (const time_point end = soon(); clock::now() < end;) {
      get(r.step(now, soon(), true));
      const redemption s = state(ticket);
      if (s.state == redemption_state::mined || s.state == redemption_state::failed) return s;
    }
    return state(ticket);
  }
  /// Steps until no transaction is under way: the node mines when it gets to it. How many tickets
  /// were paid meanwhile.
  std::size_t settle(redeemer& r) {
    std::size_t mined = 0;
    for (const time_point end = soon(); clock::now() < end;) {
      const redeemer_step s = get(r.step(now, soon()));
      mined += s.mined;
      if (!s.waiting) return mined;
    }
    return mined;
  }
  void await_block_of(const hash32& transaction) {
    for (const time_point end = soon(); clock::now() < end;) {
      if (get(w->client()->transaction_receipt(transaction, soon()))) return;
    }
    FAIL() << "the node did not mine it";
  }

  fs::path folder;
  std::unique_ptr<world> w;
  std::unique_ptr<ledger> book;
  std::int64_t now = 1'800'000'000;
};

TEST_F(redeemer_on_chain, brings_a_winning_ticket_home) {
  const hash32 t = win(1);
  redeemer r = make();
  EXPECT_EQ(get(r.step(now, soon())).submitted, 0U) << "its parameters have not expired";
  EXPECT_EQ(state(t).state, redemption_state::queued);
  ripen();
  const redeemer_step first = get(r.step(now, soon()));
  EXPECT_EQ(first.submitted, 1U);
  EXPECT_TRUE(first.waiting);
  EXPECT_EQ(state(t).state, redemption_state::submitted);
  EXPECT_FALSE(state(t).transaction.is_zero());
  EXPECT_EQ(settle(r), 1U);
  const redemption done = state(t);
  EXPECT_EQ(done.state, redemption_state::mined);
  EXPECT_EQ(done.paid, ether(10));
  EXPECT_EQ(deposit(), ether(990));
  const auto fees = get(w->bonding.number(
      "pendingFees(address,uint256)",
      {w->orchestrator.address(), u256(get(w->rounds.state(soon())).current)}, soon()));
  EXPECT_EQ(fees, ether(10));
}

TEST_F(redeemer_on_chain, redeems_many_in_one_transaction) {
  std::vector<hash32> tickets;
  for (std::uint32_t i = 1; i <= 5; ++i) tickets.push_back(win(i));
  ripen();
  redeemer r = make();
  EXPECT_EQ(get(r.step(now, soon())).submitted, 5U);
  EXPECT_EQ(settle(r), 5U);
  for (const hash32& t : tickets) EXPECT_EQ(state(t).paid, ether(10)) << state(t).why;
  EXPECT_EQ(state(tickets[0]).transaction, state(tickets[4]).transaction);
  EXPECT_EQ(deposit(), ether(950));
}

TEST_F(redeemer_on_chain, a_bad_ticket_is_given_up_and_holds_up_no_other) {
  const hash32 good = win(1);
  const hash32 forged = win(2, ether(10), w->orchestrator.sign_message(keccak256("other")));
  const hash32 tiny = win(3, 1);
  ripen();
  redeemer r = make();
  const redeemer_step s = get(r.step(now, soon()));
  EXPECT_EQ(s.submitted, 1U);
  EXPECT_EQ(s.failed, 1U);
  EXPECT_EQ(s.postponed, 1U);
  EXPECT_EQ(finish(r, good).state, redemption_state::mined);
  EXPECT_EQ(state(forged).state, redemption_state::failed);
  EXPECT_THAT(state(forged).why, HasSubstr("invalid signature"));
  EXPECT_EQ(state(tiny).state, redemption_state::queued);
  EXPECT_THAT(state(tiny).why, HasSubstr("bring 1 wei now"));
  EXPECT_GT(state(tiny).not_before, now);
}

TEST_F(redeemer_on_chain, waits_longer_after_each_obstacle) {
  const hash32 tiny = win(1, 1);
  ripen();
  redeemer_config c;
  c.first_delay = seconds(10);
  c.longest_delay = seconds(30);
  redeemer r = make(nullptr, c);
  for (const int expected : {10, 20, 30, 30}) {
    EXPECT_EQ(get(r.step(now, soon())).postponed, 1U);
    EXPECT_EQ(state(tiny).not_before, now + expected);
    EXPECT_EQ(get(r.step(now + expected - 1, soon())).postponed, 0U);
    now += expected;
  }
}

TEST_F(redeemer_on_chain, a_ticket_of_rounds_long_past_is_given_up) {
  const hash32 t = win(1);
  get(w->chain->protocol().next_round(soon()));
  get(w->chain->protocol().next_round(soon()));
  redeemer r = make();
  EXPECT_EQ(get(r.step(now, soon())).failed, 1U);
  EXPECT_THAT(state(t).why, HasSubstr("expired"));
}

TEST_F(redeemer_on_chain, a_ticket_that_was_redeemed_elsewhere_is_seen_as_paid) {
  const hash32 t = win(1);
  wallet by_hand(w->client(), w->orchestrator, w->chain->chain_id(), w->policy);
  get(by_hand.execute(w->broker.redeem(w->winner(1)), soon()));
  ripen();
  redeemer r = make();
  EXPECT_EQ(get(r.step(now, soon())).mined, 1U);
  EXPECT_EQ(state(t).state, redemption_state::mined);
  EXPECT_EQ(state(t).paid, ether(10));
  EXPECT_EQ(deposit(), ether(990));
}

TEST_F(redeemer_on_chain, waits_for_a_round_to_be_initialised) {
  const hash32 t = win(1);
  get(w->chain->protocol().mine(60, soon()));
  redeemer r = make();
  const redeemer_step s = get(r.step(now, soon()));
  EXPECT_THAT(s.note, HasSubstr("not initialised"));
  EXPECT_EQ(state(t).state, redemption_state::queued);
  get(w->chain->protocol().initialize_round(soon()));
  EXPECT_EQ(finish(r, t).state, redemption_state::mined);
}

TEST_F(redeemer_on_chain, sits_out_a_spike_of_the_gas_price) {
  const hash32 t = win(1);
  ripen();
  redeemer r = make();
  ask("anvil_setNextBlockBaseFeePerGas", {to_quantity(u256(900'000'000'000ULL))});
  ask("anvil_mine", {"0x1"});
  const redeemer_step s = get(r.step(now, soon()));
  EXPECT_EQ(s.submitted, 0U);
  EXPECT_THAT(s.note, HasSubstr("the cap is"));
  EXPECT_EQ(state(t).state, redemption_state::queued);
  EXPECT_EQ(state(t).attempts, 0U) << "it is not the ticket's fault";
  ask("anvil_setNextBlockBaseFeePerGas", {to_quantity(u256(1'000'000'000))});
  ask("anvil_mine", {"0x1"});
  EXPECT_EQ(finish(r, t).state, redemption_state::mined);
}

TEST_F(redeemer_on_chain, offers_more_for_a_transaction_that_is_stuck) {
  const hash32 t = win(1);
  ripen();
  ask("evm_setAutomine", {false});
  redeemer r = make();
  get(r.step(now, soon()));
  const hash32 first = state(t).transaction;
  get(r.step(now + 1, soon()));
  EXPECT_EQ(state(t).transaction, first);
  get(r.step(now + 61, soon()));
  const hash32 second = state(t).transaction;
  EXPECT_NE(second, first);
  ask("anvil_mine", {"0x1"});
  now += 62;
  EXPECT_EQ(settle(r), 1U);
  EXPECT_EQ(state(t).transaction, second);
  EXPECT_EQ(deposit(), ether(990));
}

TEST_F(redeemer_on_chain, sends_again_what_a_reorganisation_took_away) {
  w->policy.confirmations = 3;
  const hash32 t = win(1);
  ripen();
  redeemer r = make();
  get(r.step(now, soon()));
  await_block_of(state(t).transaction);
  get(r.step(now, soon()));
  EXPECT_EQ(deposit(), ether(990));
  EXPECT_EQ(state(t).state, redemption_state::submitted) << "one block is no confirmation yet";
  ask("anvil_reorg", {1, json::array{}});
  EXPECT_EQ(deposit(), ether(1000)) << "the reorganisation undid it";
  for (int i = 0; i < 200 && state(t).state != redemption_state::mined; ++i) {
    get(r.step(now, soon()));
    ask("anvil_mine", {"0x1"});
  }
  EXPECT_EQ(state(t).state, redemption_state::mined);
  EXPECT_EQ(state(t).paid, ether(10));
  EXPECT_EQ(deposit(), ether(990));
}

TEST_F(redeemer_on_chain, goes_on_when_another_program_used_up_its_nonce) {
  const hash32 t = win(1);
  ripen();
  ask("evm_setAutomine", {false});
  redeemer r = make();
  get(r.step(now, soon()));
  // The node loses its waiting transactions, and somebody else pays with the same key.
  ask("anvil_dropAllTransactions");
  ask("evm_setAutomine", {true});
  wallet other(w->client(), w->orchestrator, w->chain->chain_id(), w->policy);
  message_call c;
  c.to = w->sender.address();
  c.value = 1;
  get(other.execute(c, soon()));
  EXPECT_EQ(finish(r, t).state, redemption_state::mined);
  EXPECT_EQ(deposit(), ether(990));
}

TEST_F(redeemer_on_chain, loses_nothing_while_no_node_answers) {
  const hash32 t = win(1);
  ripen();
  rpc_options nowhere;
  nowhere.endpoints = {"http://127.0.0.1:1"};
  nowhere.attempts = 1;
  redeemer r = make(std::make_shared<eth_client>(runtime::connect_rpc(nowhere)));
  const auto s = r.step(now, soon());
  ASSERT_FALSE(s);
  EXPECT_EQ(s.error().code, ec::unavailable);
  EXPECT_EQ(state(t).state, redemption_state::queued);
  redeemer again = make();
  EXPECT_EQ(finish(again, t).state, redemption_state::mined);
}

// Each request in turn is the last one of a process. Whatever was under way then, the next process
// brings the ticket home, once.
TEST_F(redeemer_on_chain, is_paid_exactly_once_whenever_it_crashes) {
  constexpr std::uint64_t round_length = 100;
  runtime::dev_chain_options options;
  options.round_length = round_length;
  w = std::make_unique<world>(options);
  w->policy.confirmations = 2;
  // A crash, and what comes after it, lies within one round.
  const auto leave_room_in_the_round = [&] {
    const std::uint64_t start = get(w->rounds.small_number("currentRoundStartBlock()", {}, soon()));
    if (start + round_length < get(w->client()->block_number(soon())) + 50) {
      get(w->chain->protocol().next_round(soon()));
    }
  };
  std::uint32_t nonce = 0;
  std::size_t crashes = 0;
  for (const bool sent : {false, true}) {
    bool crashed = true;
    for (std::size_t at = 0; crashed && at < 200; ++at) {
      leave_room_in_the_round();
      const hash32 t = win(++nonce, ether(1));
      ripen();
      const u256 before = deposit();
      rpc_options o;
      o.endpoints = {w->chain->url()};
      auto node = std::make_shared<eth_client>(
          std::make_shared<json_rpc>(std::make_shared<crashing>(at, sent), o));
      crashed = false;
      try {
        redeemer doomed = make(node);
        for (int i = 0; i < 3; ++i) {
          get(doomed.step(now, soon()));
          ask("anvil_mine", {"0x1"});
        }
      } catch (const crash&) {
        crashed = true;
        ++crashes;
      }
      open();
      redeemer next = make();
      for (int i = 0; i < 20 && state(t).state != redemption_state::mined; ++i) {
        get(next.step(now, soon(), true));
        ask("anvil_mine", {"0x1"});
      }
      EXPECT_EQ(state(t).state, redemption_state::mined) << "crash at request " << at;
      EXPECT_EQ(state(t).paid, ether(1)) << "crash at request " << at;
      EXPECT_EQ(before - deposit(), ether(1)) << "crash at request " << at;
    }
    EXPECT_FALSE(crashed) << "no run came to its end";
  }
  EXPECT_GT(crashes, 20U);
}

}  // namespace
}  // namespace lp::payments
