// SPDX-License-Identifier: MIT
// What a ledger remembers and forgets when clocks, or chains, go back: nothing counts twice, and
// nothing that is good is refused.
#include "tests/payments/ledger_fixture.hpp"

namespace lp::payments {
namespace {

using testing::ledger_test;
using testing::scope;

constexpr std::int64_t now = 1'000'000;
constexpr std::int64_t hour = 3600;

class ledger_time : public ledger_test {
 protected:
  void SetUp() override { receive(p->checked(p->offer(), 1, 50)); }
  // A job of 5 wei, authorised and admitted at that time.
  admission job(const std::string& name, std::int64_t at) {
    return {p->authorize(name, 5, at), 5, {}, at};
  }
  ec admit(admission a, std::int64_t at) {
    a.unix_seconds = at;
    const auto done = book->admit(a).get();
    if (!done) return done.error().code;
    EXPECT_TRUE(book->settle(p->incoming(), a.authorization.job, 5).get());
    return ec::none;
  }
};

TEST_F(ledger_time, a_clock_that_was_ahead_for_a_while_stops_no_job) {
  const admission early = job("early", now + hour);
  ASSERT_EQ(admit(early, now + hour), ec::none);
  ASSERT_TRUE(book->forget_expired(0, now + hour).get());
  EXPECT_EQ(admit(job("after", now), now), ec::none);
  reopen();
  EXPECT_EQ(admit(job("after the restart", now + 1), now + 1), ec::none);
  EXPECT_EQ(admit(early, now), ec::unauthorized) << "it was used";
  EXPECT_EQ(book->forgotten().value().unix_seconds, 0) << "nothing was dropped yet";
  expect_sound();
}

TEST_F(ledger_time, what_was_dropped_stays_used_wherever_the_clock_goes) {
  std::vector<admission> used;
  for (int i = 0; i < 20; ++i) {
    used.push_back(job(fmt::format("job {}", i), now + i * 60));
    ASSERT_EQ(admit(used.back(), now + i * 60), ec::none);
  }
  ASSERT_TRUE(book->forget_expired(0, now + 10 * 60).get());
  EXPECT_EQ(book->forgotten().value().unix_seconds, now + 10 * 60) << "of what was dropped";
  for (const std::int64_t at : {now - hour, now, now + 9 * 60, now + 10 * 60, now + hour}) {
    for (const admission& a : used) EXPECT_NE(admit(a, at), ec::none) << a.authorization.job;
    reopen();
    for (const admission& a : used) EXPECT_NE(admit(a, at), ec::none) << a.authorization.job;
    ASSERT_TRUE(book->forget_expired(0, at).get());
  }
  EXPECT_EQ(incoming().reserved, 0);
  expect_sound();
}

TEST_F(ledger_time, a_damaged_mark_forgets_nothing_and_is_no_time) {
  ASSERT_EQ(admit(job("a", now), now), ec::none);
  book.reset();
  meddle("INSERT OR REPLACE INTO notes VALUES ('ledger: forgotten', x'0102')");
  reopen();
  EXPECT_EQ(book->forgotten().value().unix_seconds, 0);
  EXPECT_EQ(book->forgotten().value().l1_block, 0U);
  EXPECT_EQ(admit(job("a", now), now), ec::unauthorized);
}

TEST_F(ledger_time, blocks_that_were_far_ahead_end_no_parameters) {
  const ticket_params offer = p->offer();
  EXPECT_EQ(receive(p->checked(offer, 1, 1)).accepted, 1U);
  p->view.l1_block += 300;
  const ticket_params ahead = p->offer();
  EXPECT_EQ(receive(p->checked(ahead, 1, 1)).accepted, 1U);
  ASSERT_TRUE(book->forget_expired(p->view.l1_block, 0).get());
  p->view.l1_block -= 299;
  EXPECT_EQ(receive(p->checked(p->offer(), 1, 1)).accepted, 1U) << "what is offered now is taken";
  EXPECT_EQ(receive(p->checked(offer, 1, 1)).accepted, 0U) << "what was dropped is not";
  EXPECT_EQ(receive(p->checked(offer, 2, 1)).accepted, 0U);
  reopen();
  EXPECT_EQ(receive(p->checked(p->offer(), 1, 1)).accepted, 1U);
  EXPECT_EQ(receive(p->checked(offer, 2, 1)).accepted, 0U);
  expect_sound();
  // Offers that were made while blocks were ahead would hold for ever.
  const auto later = p->taker.check(p->pay(ahead, 2, 1), scope, p->view, {});
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().code, ec::payment_expired);
}

// Its winner leaves a row of parameters that are over; they must not come back to life.
TEST_F(ledger_time, a_winner_of_expired_parameters_does_no_harm_when_blocks_go_back) {
  const ticket_params offer = sure_offer();
  const auto paid = [&](std::uint32_t nonce) {
    return sure->check(p->pay(offer, nonce, 1), scope, p->view, {}).value();
  };
  p->view.l1_block += 60;
  const receipt late = receive(paid(1));
  EXPECT_EQ(late.accepted, 0U);
  EXPECT_EQ(late.winners, 1U);
  p->view.l1_block -= 60;
  const receipt again = receive(paid(2));
  EXPECT_EQ(again.accepted, 0U);
  ASSERT_TRUE(again.stopped_by);
  EXPECT_EQ(again.stopped_by->code, ec::payment_expired);
  reopen();
  EXPECT_EQ(receive(paid(3)).accepted, 0U);
  expect_sound();
}

// A ledger that is full looks for what is over once a second, not with every call.
TEST_F(ledger_time, makes_room_when_time_goes_on) {
  options.max_authorizations = 2;
  reopen();
  ASSERT_EQ(admit(job("a", now), now), ec::none);
  ASSERT_EQ(admit(job("b", now), now), ec::none);
  EXPECT_EQ(admit(job("c", now + 1), now + 1), ec::busy);
  EXPECT_EQ(admit(job("c", now + 61), now + 61), ec::none);
  expect_sound();
}

TEST_F(ledger_time, credit_that_an_orchestrator_does_not_hold_is_not_counted_on) {
  const ticket_params offer = p->offer();
  const rational ev = expected_value(offer);
  const auto fund = [&](const char* name, std::optional<rational> stated) {
    funding f{offer, name, ev * 2, {}, {}, std::move(stated)};
    return book->fund(f).get().value().count;
  };
  EXPECT_EQ(fund("lost", {}), 2U);
  ASSERT_TRUE(book->settle(p->outgoing(), "lost", 0).get());
  ASSERT_EQ(outgoing().credit, ev * 2);
  EXPECT_EQ(fund("a", rational(0)), 2U) << "paid in full: it says that it holds nothing";
  EXPECT_EQ(fund("b", {}), 2U) << "what is doubted once stays so";
  ASSERT_TRUE(book->settle(p->outgoing(), "a", 0).get());
  EXPECT_EQ(fund("c", {}), 0U) << "what came after is there";
  ASSERT_TRUE(book->settle(p->outgoing(), "c", 0).get());
  EXPECT_EQ(fund("d", ev * 4), 0U) << "it says that all is there";
  EXPECT_EQ(fund("e", {}), 0U);
  expect_sound();
}

}  // namespace
}  // namespace lp::payments
