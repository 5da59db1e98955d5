// SPDX-License-Identifier: MIT
#include "tests/payments/ledger_fixture.hpp"

#include "payments/keccak.hpp"

namespace lp::payments {
namespace {

using testing::ledger_test;
using testing::parties;
using testing::scope;

TEST_F(ledger_test, credits_each_ticket_once) {
  const ticket_params offer = p->offer();
  const checked_payment paid = p->checked(offer, 1, 3);
  const receipt first = receive(paid);
  EXPECT_EQ(first.accepted, 3U);
  EXPECT_EQ(first.credited, expected_value(offer) * 3);
  EXPECT_FALSE(first.stopped_by);
  // The same again, then a part of it behind new ones.
  for (int i = 0; i < 2; ++i) {
    const receipt again = receive(paid);
    EXPECT_EQ(again.accepted, 0U);
    EXPECT_EQ(again.stopped_by->message.find("invalid ticket senderNonce: already seen"), 0U);
    reopen();
  }
  payment mixed = p->pay(offer, 4, 1);
  mixed.tickets.push_back(p->pay(offer, 2, 1).tickets[0]);
  mixed.tickets.push_back(p->pay(offer, 5, 1).tickets[0]);
  EXPECT_EQ(receive(p->taker.check(mixed, scope, p->view, {}).value()).accepted, 1U);
  EXPECT_EQ(incoming().credit, expected_value(offer) * 4);
  expect_sound();
}

TEST_F(ledger_test, nonces_need_no_order) {
  const ticket_params offer = p->offer();
  for (const std::uint32_t nonce : {7U, 3U, 4'000'000'000U, 1U}) {
    EXPECT_EQ(receive(p->checked(offer, nonce, 1)).accepted, 1U);
  }
  EXPECT_EQ(receive(p->checked(offer, 3, 1)).accepted, 0U);
  expect_sound();
}

TEST_F(ledger_test, bounds_what_it_remembers) {
  options.max_nonces = 5;
  options.max_sessions = 3;
  options.max_sessions_per_sender = 2;
  reopen();
  const ticket_params offer = p->offer();
  const receipt full = receive(p->checked(offer, 1, 6));
  EXPECT_EQ(full.accepted, 5U);
  EXPECT_NE(full.stopped_by->message.find("too many values"), std::string::npos);
  EXPECT_EQ(receive(p->checked(p->offer(), 1, 1)).accepted, 1U);
  const receipt third = receive(p->checked(p->offer(), 1, 1));
  EXPECT_EQ(third.stopped_by->code, ec::busy);
  for (int i = 0; i < 2; ++i) {
    parties other(book->node_secret());
    const receipt r = receive(other.checked(other.offer(), 1, 1));
    EXPECT_EQ(r.accepted, i == 0 ? 1U : 0U);
  }
  // Once the parameters are over there is room again.
  ASSERT_TRUE(book->forget_expired(1040, 0).get());
  p->view.l1_block = 1041;
  EXPECT_EQ(receive(p->checked(p->offer(), 1, 1)).accepted, 1U);
  options.max_accounts = 2;
  reopen();
  parties stranger(book->node_secret());
  stranger.view.l1_block = 1041;
  EXPECT_EQ(receive(stranger.checked(stranger.offer(), 1, 1)).stopped_by->code, ec::busy);
  expect_sound();
}

TEST_F(ledger_test, makes_room_by_itself) {
  options.max_sessions = 1;
  options.max_authorizations = 1;
  reopen();
  EXPECT_EQ(receive(p->checked(p->offer(), 1, 2)).accepted, 2U);
  EXPECT_EQ(receive(p->checked(p->offer(), 1, 1)).stopped_by->code, ec::busy);
  p->view.l1_block = 1040;
  EXPECT_EQ(receive(p->checked(p->offer(), 1, 1)).accepted, 1U);
  admission job = p->admit("a", 1);
  ASSERT_TRUE(book->admit(job).get());
  job = p->admit("b", 1);
  EXPECT_EQ(book->admit(job).get().error().code, ec::busy);
  job.unix_seconds += 60;
  job.authorization = p->authorize("b", 1, job.unix_seconds);
  EXPECT_TRUE(book->admit(job).get());
  expect_sound();
}

TEST_F(ledger_test, parameters_end) {
  const ticket_params offer = p->offer();
  EXPECT_EQ(receive(p->checked(offer, 1, 1)).accepted, 1U);
  p->view.l1_block = 1039;
  EXPECT_EQ(receive(p->checked(offer, 2, 1)).accepted, 1U);
  p->view.l1_block = 1040;
  EXPECT_EQ(receive(p->checked(offer, 3, 1)).stopped_by->code, ec::payment_expired);
  ASSERT_TRUE(book->forget_expired(1040, 0).get());
  // A chain that steps back brings nothing back to life, now and after a restart.
  p->view.l1_block = 1000;
  EXPECT_EQ(receive(p->checked(offer, 1, 1)).stopped_by->code, ec::payment_expired);
  reopen();
  EXPECT_EQ(receive(p->checked(offer, 1, 1)).stopped_by->code, ec::payment_expired);
  EXPECT_EQ(incoming().credit, expected_value(offer) * 2);
  expect_sound();
}

TEST_F(ledger_test, drops_tickets_that_are_over_and_keeps_what_they_were_worth) {
  const auto kept = [&] {
    auto db = sqlite::database::open(options.file, true).value();
    return db->scalar("SELECT sum(length(tickets)) FROM payments");
  };
  const ticket_params offer = sure_offer();
  const ticket_params longer = [&] {
    p->view.l1_block = 1010;
    return p->offer();
  }();
  receive(sure->check(p->pay(offer, 1, 3), scope, p->view, {}).value());
  receive(p->checked(longer, 1, 2));
  const account before = incoming();
  EXPECT_EQ(kept(), 5 * 69);
  ASSERT_TRUE(book->forget_expired(1040, 0).get());
  EXPECT_EQ(kept(), 2 * 69);
  EXPECT_EQ(incoming().credit, before.credit);
  expect_sound();
  const audit_report report = book->audit(true).value();
  EXPECT_EQ(report.tickets, 5U);
  EXPECT_GE(report.winners, 3U) << "winners stay to be redeemed";
  // What was dropped cannot be sent again, also when the chain steps back.
  EXPECT_EQ(receive(sure->check(p->pay(offer, 1, 3), scope, p->view, {}).value()).accepted, 0U);
  reopen();
  EXPECT_EQ(receive(sure->check(p->pay(offer, 4, 1), scope, p->view, {}).value()).accepted, 0U);
  EXPECT_EQ(receive(p->checked(longer, 3, 1)).accepted, 1U);
  expect_sound();
}

// A year of jobs must not fill the disk with tickets.
TEST_F(ledger_test, does_not_grow_by_tickets_that_are_over) {
  const auto size = [&] {
    book.reset();  // the log of writes goes into the file
    reopen();
    return std::filesystem::file_size(options.file);
  };
  const auto season = [&] {
    for (int i = 0; i < 10; ++i) {
      p->view.l1_block += 50;
      ASSERT_TRUE(book->forget_expired(p->view.l1_block, 0).get());
      EXPECT_EQ(receive(p->checked(p->offer(), 1, 300)).accepted, 300U);
    }
  };
  season();
  const auto first = size();
  season();
  season();
  EXPECT_LT(size() - first, 20 * 300 * 69 / 4) << "of 414000 bytes of tickets";
  expect_sound();
}

TEST_F(ledger_test, queues_each_winner_once) {
  const ticket_params offer = sure_offer();
  const auto paid = sure->check(p->pay(offer, 1, 2), scope, p->view, {}).value();
  EXPECT_EQ(receive(paid).winners, 2U);
  EXPECT_EQ(receive(paid).winners, 0U);
  // Too late for credit, but it can be redeemed.
  p->view.l1_block = 2000;
  const receipt late = receive(sure->check(p->pay(offer, 3, 1), scope, p->view, {}).value());
  EXPECT_EQ(late.accepted, 0U);
  EXPECT_EQ(late.winners, 1U);
  const receipt unknown = receive(
      sure->check(p->pay(sure->offer(p->terms(), {}, {}, 0).value(), 1, 1), scope, p->view, {})
          .value());
  EXPECT_EQ(unknown.accepted, 0U);
  EXPECT_EQ(unknown.winners, 1U);
  EXPECT_EQ(book->pending_winnings(p->gateway.address()).value(), offer.face_value * 4);

  const auto winners = book->winners(redemption_state::queued, 10).value();
  ASSERT_EQ(winners.size(), 4U);
  const winning_ticket& w = winners[1];
  EXPECT_EQ(w.hash, ticket_hash(w.won));
  EXPECT_EQ(w.won, make_ticket(offer, p->gateway.address(), 2));
  EXPECT_EQ(recover_message(w.hash, w.sig).value(), p->gateway.address());
  EXPECT_EQ(rand_hash(w.recipient_rand), offer.recipient_rand_hash);
  EXPECT_EQ(w.expiration_block, offer.expiration_block);
  expect_sound();
}

TEST_F(ledger_test, remembers_how_a_redemption_stands) {
  const ticket_params offer = sure_offer();
  receive(sure->check(p->pay(offer, 1, 2), scope, p->view, {}).value());
  const hash32 hash = book->winners({}, 10).value()[0].hash;
  redemption r{redemption_state::submitted, "gas price too high", keccak256("tx"), 3, 12345, 0};
  ASSERT_TRUE(book->set_redemption(hash, r).get());
  reopen();
  const redemption stored = book->winner(hash).value().state;
  EXPECT_EQ(stored.state, redemption_state::submitted);
  EXPECT_EQ(stored.why, "gas price too high");
  EXPECT_EQ(stored.transaction, keccak256("tx"));
  EXPECT_EQ(stored.attempts, 3U);
  EXPECT_EQ(stored.not_before, 12345);
  EXPECT_EQ(book->pending_winnings(p->gateway.address()).value(), offer.face_value * 2);
  r.state = redemption_state::mined;
  r.paid = 42;
  ASSERT_TRUE(book->set_redemption(hash, r).get());
  EXPECT_EQ(book->winner(hash).value().state.paid, 42);
  EXPECT_EQ(book->pending_winnings(p->gateway.address()).value(), offer.face_value);
  EXPECT_EQ(book->winners(redemption_state::mined, 10).value().size(), 1U);
  EXPECT_EQ(book->set_redemption(keccak256("no"), r).get().error().code, ec::not_found);
  EXPECT_EQ(book->winner(keccak256("no")).error().code, ec::not_found);
}

TEST_F(ledger_test, calls_that_wait_share_one_commit) {
  const checked_payment paid = p->checked(p->offer(), 1, 1);
  std::vector<std::future<result<account>>> waiting;
  std::promise<void> queued;
  const std::uint64_t before = book->stats().commits;
  // On the writer's thread, so that nothing is written until all of them wait.
  book->receive(paid, [&](const result<receipt>&) {
    for (int i = 0; i < 100; ++i) waiting.push_back(book->settle(p->incoming(), "none", 0));
    queued.set_value();
  });
  queued.get_future().wait();
  for (auto& w : waiting) EXPECT_EQ(w.get().error().code, ec::not_found);
  EXPECT_EQ(book->stats().commits, before + 2);
  EXPECT_EQ(book->stats().calls, 101U);
}

TEST_F(ledger_test, the_queue_has_a_bound) {
  options.max_queue = 10;
  reopen();
  std::promise<int> refused;
  book->set_note("a", "", [&](const result<void>&) {
    int busy = 0;
    for (int i = 0; i < 15; ++i) {
      book->set_note("b", "", [&](const result<void>& r) {
        if (!r && r.error().code == ec::busy) ++busy;
      });
    }
    refused.set_value(busy);
  });
  EXPECT_EQ(refused.get_future().get(), 5);
}

TEST_F(ledger_test, lists_what_happened) {
  receive(p->checked(p->offer(), 1, 2));
  ASSERT_TRUE(book->admit(p->admit("a", 5)).get());
  ASSERT_TRUE(book->settle(p->incoming(), "a", 3).get());
  const auto all = book->history(0, 100).value();
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[1].number, 2U);
  EXPECT_EQ(all[1].what.kind, event_kind::reserve);
  EXPECT_EQ(all[2].what.amount, 3);
  EXPECT_EQ(all[3].what.amount, 2);
  EXPECT_EQ(book->history(3, 1).value().size(), 1U);
  EXPECT_EQ(book->accounts().value().size(), 1U);
}

}  // namespace
}  // namespace lp::payments
