// SPDX-License-Identifier: MIT
// What is known to go wrong in the reference's admission of paid jobs, one test each: ours does
// not.
#include <set>

#include "payments/authorization.hpp"
#include "tests/payments/ledger_fixture.hpp"

namespace lp::payments {
namespace {

using testing::parties;
using testing::scope;

class known_weakness : public testing::ledger_test {
 protected:
  result<checked_payment> check(const payment& paid) {
    return p->taker.check(paid, scope, p->view, {});
  }
  job_facts facts(const job_authorization& a, const rational& quoted) {
    return {p->orchestrator.address(), a.job, a.scope, a.body_hash, quoted};
  }
};

TEST_F(known_weakness, no_tickets_and_no_price_is_no_free_job) {
  payment nothing = p->pay(p->offer(), 1, 1);
  nothing.tickets.clear();
  nothing.expected_price = rational(0);
  EXPECT_FALSE(check(nothing));
  EXPECT_EQ(book->admit(p->admit("a", 1)).get().error().code, ec::payment_required);
  EXPECT_TRUE(book->open_jobs().value().empty());
}

TEST_F(known_weakness, a_negative_price_credits_nobody) {
  payment odd = p->pay(p->offer(), 1, 1);
  odd.expected_price = rational(-1'000'000);
  EXPECT_EQ(check(odd).error().code, ec::payment_required);
  receive(p->checked(p->offer(), 1, 1));
  const rational before = incoming().credit;
  EXPECT_FALSE(book->admit({p->authorize("a", 5), rational(-5), {}, 1'000'000}).get());
  ASSERT_TRUE(book->admit(p->admit("b", 5)).get());
  EXPECT_FALSE(book->settle(p->incoming(), "b", -5).get());
  ASSERT_TRUE(book->settle(p->incoming(), "b", 5).get());
  EXPECT_EQ(incoming().credit, before - 5);
}

TEST_F(known_weakness, an_absent_price_is_refused_before_the_work) {
  payment odd = p->pay(p->offer(), 1, 1);
  odd.expected_price.reset();
  EXPECT_EQ(check(odd).error().code, ec::payment_required);
}

TEST_F(known_weakness, standing_credit_is_charged_at_the_orchestrators_price) {
  receive(p->checked(p->offer(), 1, 3));
  // The sender says 1 wei; the job costs 1000. Nothing the request says changes that.
  const job_authorization cheap = p->authorize("a", 1);
  EXPECT_EQ(check_authorization(cheap, facts(cheap, 1000), 1'000'000).error().code,
            ec::over_budget);
  const rational before = incoming().credit;
  const admission fair = p->admit("b", 1000);
  ASSERT_TRUE(check_authorization(fair.authorization, facts(fair.authorization, 1000), 1'000'000));
  ASSERT_TRUE(book->admit(fair).get());
  EXPECT_EQ(incoming().credit, before - 1000);
}

TEST_F(known_weakness, credentials_cannot_be_used_again_here_or_elsewhere) {
  receive(p->checked(p->offer(), 1, 3));
  const admission job = p->admit("a", 10);
  const parties other(book->node_secret());
  job_facts elsewhere = facts(job.authorization, 10);
  elsewhere.orchestrator = other.orchestrator.address();
  EXPECT_EQ(check_authorization(job.authorization, elsewhere, 1'000'000).error().code,
            ec::unauthorized);
  ASSERT_TRUE(book->admit(job).get());
  ASSERT_TRUE(book->settle(p->incoming(), "a", 10).get());
  EXPECT_EQ(book->admit(job).get().error().code, ec::unauthorized);
  const signature asked = p->gateway.sign_message(
      request_digest("quote", p->gateway.address(), p->orchestrator.address(), 1'000'000));
  EXPECT_FALSE(check_request("quote", p->gateway.address(), other.orchestrator.address(), 1'000'000,
                             asked, 1'000'000));
}

TEST_F(known_weakness, identifiers_and_secrets_cannot_be_guessed) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(new_session_id());
  EXPECT_EQ(ids.size(), 1000U);
  EXPECT_EQ(ids.begin()->size(), 32U);
  const auto second = ledger::open({folder / "second.sqlite"});
  ASSERT_TRUE(second);
  EXPECT_NE((*second)->node_secret(), book->node_secret());
  EXPECT_NE(p->offer().seed, p->offer().seed);
}

TEST_F(known_weakness, a_session_token_is_compared_as_a_whole) {
  const hash32 good = session_token(book->node_secret(), "id", 2'000'000);
  for (std::size_t i = 0; i < 32; ++i) {
    hash32 near = good;
    near.bytes[i] ^= 1;
    EXPECT_FALSE(check_session_token(book->node_secret(), "id", 2'000'000, near.view(), 1));
  }
}

TEST_F(known_weakness, a_refused_job_holds_nothing) {
  receive(p->checked(p->offer(), 1, 1));
  const rational before = incoming().credit;
  std::promise<void> refused;
  account at_that_moment;
  book->admit(p->admit("a", before * 2), [&](const result<admitted>& r) {
    EXPECT_FALSE(r);
    at_that_moment = incoming();
    refused.set_value();
  });
  refused.get_future().wait();
  EXPECT_EQ(at_that_moment.credit, before);
  EXPECT_EQ(at_that_moment.reserved, 0);
  EXPECT_TRUE(book->open_jobs().value().empty());
}

TEST_F(known_weakness, nothing_switches_payment_off) {
  // Not even a job that costs nearly nothing, of a sender that nobody ever heard of.
  EXPECT_FALSE(book->admit(p->admit("a", rational(1, integer(1) << 200))).get());
}

}  // namespace
}  // namespace lp::payments
