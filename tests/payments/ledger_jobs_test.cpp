// SPDX-License-Identifier: MIT
#include "tests/payments/ledger_fixture.hpp"

namespace lp::payments {
namespace {

using testing::ledger_test;
using testing::parties;

TEST_F(ledger_test, admits_what_is_covered_as_a_whole) {
  const ticket_params offer = p->offer();
  const rational ev = expected_value(offer);
  // One ticket does not buy a job of three.
  const auto short_of = book->admit(p->admit("a", ev * 3, p->checked(offer, 1, 1))).get();
  ASSERT_FALSE(short_of);
  EXPECT_EQ(short_of.error().code, ec::payment_required);
  EXPECT_EQ(incoming().credit, ev);
  const auto in = book->admit(p->admit("b", ev * 3, p->checked(offer, 2, 2))).get();
  ASSERT_TRUE(in) << in.error().message;
  EXPECT_EQ(in->reserved, ev * 3);
  EXPECT_EQ(incoming().credit, 0);
  EXPECT_EQ(incoming().reserved, ev * 3);
  // What is reserved cannot be spent twice.
  EXPECT_FALSE(book->admit(p->admit("c", 1)).get());
  EXPECT_EQ(book->settle(p->incoming(), "b", ev).get().value().credit, ev * 2);
  // Standing credit needs no new ticket.
  ASSERT_TRUE(book->admit(p->admit("d", ev * 2)).get());
  EXPECT_EQ(book->settle(p->incoming(), "d", 0).get().value().credit, ev * 2);
  EXPECT_EQ(book->settle(p->incoming(), "d", 0).get().error().code, ec::not_found);
  expect_sound();
}

TEST_F(ledger_test, takes_an_authorisation_once) {
  receive(p->checked(p->offer(), 1, 3));
  const admission once = p->admit("a", 5);
  ASSERT_TRUE(book->admit(once).get());
  ASSERT_TRUE(book->settle(p->incoming(), "a", 5).get());
  EXPECT_EQ(book->admit(once).get().error().code, ec::unauthorized);
  reopen();
  EXPECT_EQ(book->admit(once).get().error().code, ec::unauthorized);
  // Refused for lack of credit, it is used up as well.
  const admission dear = p->admit("b", rational(integer(1) << 100));
  EXPECT_EQ(book->admit(dear).get().error().code, ec::payment_required);
  EXPECT_EQ(book->admit(dear).get().error().code, ec::unauthorized);
  // Forgotten only when it has expired, and then it stays refused, whatever the clock says.
  ASSERT_TRUE(book->forget_expired(0, once.unix_seconds + 60).get());
  reopen();
  EXPECT_EQ(book->admit(once).get().error().code, ec::payment_expired);
  EXPECT_EQ(incoming().reserved, 0);
  expect_sound();
}

TEST_F(ledger_test, another_senders_payment_does_not_pay) {
  const parties other(book->node_secret());
  admission mixed = p->admit("a", 1);
  mixed.payment = other.checked(other.offer(), 1, 1);
  EXPECT_EQ(book->admit(mixed).get().error().code, ec::unauthorized);
  EXPECT_EQ(book->balance(other.incoming()).value().credit, 0);
}

TEST_F(ledger_test, an_expired_payment_says_so) {
  const ticket_params offer = p->offer();
  p->view.l1_block = 5000;
  const checked_payment paid = p->checked(offer, 1, 1);
  const auto refused = book->admit(p->admit("a", 1, paid)).get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::payment_expired);
}

TEST_F(ledger_test, funds_a_job_from_credit_and_new_tickets) {
  const ticket_params offer = p->offer();
  const rational ev = expected_value(offer);
  const funding f{offer, "a", ev * rational(5, 2), {}, {}};
  const auto first = book->fund(f).get();
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->first_nonce, 1U);
  EXPECT_EQ(first->count, 3U);
  EXPECT_EQ(outgoing().credit, ev / 2);
  EXPECT_EQ(book->fund(f).get().error().code, ec::bad_request);
  reopen();
  // The job's fate is unknown after a restart, so it counts as used; nonces go on.
  EXPECT_EQ(outgoing().credit, ev / 2);
  EXPECT_EQ(outgoing().reserved, 0);
  const auto second = book->fund({offer, "b", ev, {}, {}}).get();
  EXPECT_EQ(second->first_nonce, 4U);
  EXPECT_EQ(second->count, 1U);
  EXPECT_EQ(book->settle(p->outgoing(), "b", 0).get().value().credit, ev * rational(3, 2));
  EXPECT_EQ(book->fund({offer, "c", ev, {}, {}}).get()->count, 0U);
  EXPECT_EQ(book->write_off(p->orchestrator.address(), 0).get().value().credit, 0);
  const auto sent = book->payments(side::outgoing, 10).value();
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[1].nonces, (std::vector<std::uint32_t>{1, 2, 3}));
  expect_sound();
}

TEST_F(ledger_test, funding_stays_within_its_bounds) {
  const ticket_params offer = p->offer();
  const rational ev = expected_value(offer);
  const auto why = [&](funding f) { return book->fund(std::move(f)).get().error(); };
  EXPECT_EQ(why({offer, "a", ev * 2, ev, {}}).code, ec::over_budget);
  EXPECT_EQ(why({offer, "a", -ev, {}, {}}).code, ec::bad_request);
  sender_config tight;
  tight.max_exposure = to_u256(floor(ev * 3), "exposure").value();
  EXPECT_EQ(why({offer, "a", ev * 4, {}, tight}).code, ec::over_budget);
  ASSERT_TRUE(book->fund({offer, "a", ev * 2, {}, tight}).get());
  // It takes payment and does not deliver: the bound holds over all its jobs.
  EXPECT_EQ(why({offer, "b", ev * 2, {}, tight}).code, ec::over_budget);
  ticket_params changed = offer;
  changed.face_value += 1;
  EXPECT_EQ(why({changed, "b", ev, {}, {}}).code, ec::payment_required);
  sender_config few;
  few.max_nonce = 3;
  EXPECT_EQ(why({offer, "b", ev * 2, {}, few}).code, ec::payment_expired);
  EXPECT_EQ(outgoing().reserved, ev * 2);
  expect_sound();
}

TEST_F(ledger_test, what_both_sides_count_is_the_same) {
  const ticket_params offer = p->offer();
  for (int i = 0; i < 20; ++i) {
    const std::string job = fmt::format("job {}", i);
    const rational quoted = rational(7'000'000'000'123LL * (i + 1), 311);
    const auto out = book->fund({offer, job, quoted, {}, {}}).get();
    ASSERT_TRUE(out) << out.error().message;
    std::optional<checked_payment> paid;
    if (out->count > 0) paid = p->checked(offer, out->first_nonce, out->count);
    ASSERT_TRUE(book->admit(p->admit(job, quoted, paid)).get());
    const rational used = quoted * (i % 4) / 3;
    ASSERT_TRUE(book->settle(p->incoming(), job, used).get());
    ASSERT_TRUE(book->settle(p->outgoing(), job, used).get());
    ASSERT_EQ(incoming().credit, outgoing().credit);
  }
  expect_sound();
}

TEST_F(ledger_test, jobs_lost_in_a_restart_give_their_credit_back) {
  receive(p->checked(p->offer(), 1, 2));
  const rational before = incoming().credit;
  ASSERT_TRUE(book->admit(p->admit("a", 100)).get());
  options.settle_lost_jobs = false;
  reopen();
  EXPECT_EQ(book->open_jobs().value().size(), 1U);
  options.settle_lost_jobs = true;
  reopen();
  EXPECT_EQ(incoming().credit, before);
  EXPECT_TRUE(book->open_jobs().value().empty());
  expect_sound();
}

}  // namespace
}  // namespace lp::payments
