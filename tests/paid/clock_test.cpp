// SPDX-License-Identifier: MIT
// Clocks that differ, are set, and go back: paid jobs go on, and nothing is taken twice.
#include <gtest/gtest.h>

#include "runtime/base/log.hpp"
#include "runtime/node_money.hpp"
#include "tests/paid/market.hpp"

namespace lp::testing {
namespace {

using outcome = actors::settlement::outcome;
using payments::rational;

constexpr std::int64_t second = 1000;
constexpr std::int64_t hour = 3600 * second;
constexpr std::int64_t year = 365 * 24 * hour;
constexpr const char* unit_price = "80 gwei";

template <class T>
std::string says(const result<T>& r) {
  return r ? "fine" : render(r.error());
}

class clocks : public ::testing::Test {
 protected:
  // A job with tickets and one from credit, both to the end.
  void expect_business() {
    static int number = 0;
    const std::string failing = "failing " + std::to_string(++number);
    ASSERT_EQ(says(gateway.trade(orch, failing)), "fine");
    orch.finish(gateway, failing, 0);
    gateway.settle(orch, failing, outcome::returned, 0);
    const std::string fine = "fine " + std::to_string(number);
    const auto job = gateway.pay(orch, fine);
    ASSERT_TRUE(job) << says(job);
    EXPECT_TRUE(job->has_terms()) << "from credit";
    ASSERT_EQ(says(orch.admit(*job)), "fine");
    orch.finish(gateway, fine, 1);
    gateway.settle(orch, fine, outcome::delivered, 1);
  }
  // The orchestrator's process starts again while its host's clock says this.
  void restart_at(std::int64_t host_ms) {
    orch.restart();
    const auto mark = orch.money->forgotten().value();
    const auto blocks_ms = static_cast<std::int64_t>(mark.l1_block) * 12 * second;
    orch.now_ms = std::max({host_ms, mark.unix_seconds * second, blocks_ms});
    gateway.wallet->peer_down("orch", gateway.now_ms);
  }
  void pass(std::int64_t ms) {
    orch.now_ms += ms;
    gateway.now_ms += ms;
  }

  scratch_folder folder;
  seller orch{folder.path(), "orch", unit_price};
  buyer gateway{folder.path()};
};

class differing_clocks : public clocks, public ::testing::WithParamInterface<std::int64_t> {};

TEST_P(differing_clocks, are_as_good_as_equal_ones) {
  orch.now_ms += GetParam();
  expect_business();
  // Terms are renewed, what is over is dropped, and it goes on.
  for (int i = 0; i < 4; ++i) {
    pass(250 * second);
    ASSERT_TRUE(gateway.get_terms(orch));
    expect_business();
  }
  EXPECT_TRUE(orch.money->audit(true).value().ok());
}

INSTANTIATE_TEST_SUITE_P(all, differing_clocks,
                         ::testing::Values(400 * second, -400 * second, 12 * hour, -12 * hour,
                                           60 * year, -50 * year));

TEST_F(clocks, that_are_put_right_between_two_starts_stop_nothing) {
  const std::int64_t right = orch.now_ms;
  orch.now_ms += hour;
  for (int i = 0; i < 4; ++i) expect_business();
  // So long that jobs and tickets of the wrong time were dropped.
  for (int i = 0; i < 10; ++i) {
    pass(100 * second);
    expect_business();
  }
  restart_at(right);
  expect_business();
  restart_at(right + 5 * year);
  expect_business();
  restart_at(right);
  expect_business();
  EXPECT_TRUE(orch.money->audit(true).value().ok());
}

// Everything that was ever sent is sent again, after each of many starts with clocks that go both
// ways.
TEST_F(clocks, never_let_anything_be_used_twice) {
  const std::int64_t right = orch.now_ms;
  std::vector<wire::JobRequest> sent;
  const auto replay = [&] {
    const auto before = orch.account(gateway.wallet->address());
    for (const wire::JobRequest& job : sent) EXPECT_FALSE(orch.admit(job)) << job.id();
    const auto after = orch.account(gateway.wallet->address());
    EXPECT_EQ(after.credit, before.credit);
    EXPECT_EQ(after.reserved, 0);
  };
  int number = 0;
  for (const std::int64_t host : {right, right + hour, right, right - hour, right + 700 * second,
                                  right + 2 * hour, right + 60 * second, right}) {
    restart_at(host);
    replay();
    for (int i = 0; i < 5; ++i) {
      const std::string id = std::to_string(++number);
      ASSERT_TRUE(gateway.get_terms(orch));
      const auto job = gateway.pay(orch, id);
      ASSERT_TRUE(job) << says(job);
      sent.push_back(*job);
      ASSERT_EQ(says(orch.admit(*job)), "fine");
      orch.finish(gateway, id, i % 2);
      gateway.settle(orch, id, i % 2 == 1 ? outcome::delivered : outcome::returned, i % 2);
      pass(150 * second);
      replay();
    }
  }
  // And where the clock goes without a restart, as it does for a node of an older version.
  for (const std::int64_t at : {right, right + hour, right - hour}) {
    orch.now_ms = at;
    replay();
  }
  EXPECT_TRUE(orch.money->audit(true).value().ok());
}

TEST_F(clocks, set_while_terms_hold_lead_to_a_refusal_that_new_terms_cure) {
  for (const std::int64_t step : {hour, -hour}) {
    ASSERT_TRUE(gateway.get_terms(orch));
    orch.now_ms += step;
    const std::string id = std::to_string(step);
    const auto job = gateway.pay(orch, id);
    ASSERT_TRUE(job);
    const auto refused = orch.admit(*job);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ec::payment_expired) << "not the client's fault";
    gateway.settle(orch, id, outcome::refused, 0);
    EXPECT_EQ(gateway.wallet->suspended_until(orch.desk->address()), 0);
    ASSERT_TRUE(gateway.get_terms(orch));
    const auto again = gateway.pay(orch, id, {}, true);
    ASSERT_TRUE(again) << says(again);
    ASSERT_EQ(says(orch.admit(*again)), "fine");
    EXPECT_FALSE(orch.admit(*again)) << "once";
    EXPECT_FALSE(orch.admit(*job));
    orch.finish(gateway, id, 1, true);
    gateway.settle(orch, id, outcome::delivered, 1);
  }
}

TEST_F(clocks, a_price_of_a_time_to_come_holds_no_longer_than_any_other) {
  const std::int64_t right = orch.now_ms;
  ASSERT_EQ(says(gateway.trade(orch, "1")), "fine");
  orch.finish(gateway, "1", 0);
  gateway.settle(orch, "1", outcome::returned, 0);
  (void)orch.account(gateway.wallet->address());  // it is on disk before terms are stated
  orch.now_ms += 2 * hour;
  gateway.wallet->drop_terms("orch");
  ASSERT_TRUE(gateway.get_terms(orch));
  const auto from_credit = gateway.pay(orch, "2");
  ASSERT_TRUE(from_credit && from_credit->has_terms());
  orch.restart();
  orch.now_ms = right + hour + 3000 * second;
  EXPECT_EQ(orch.admit(*from_credit).error().code, ec::payment_expired);
}

TEST_F(clocks, terms_of_an_impossible_time_are_refused) {
  for (const std::int64_t at : {INT64_MAX, INT64_MIN, std::int64_t{-1}, last_unix_ms + 1}) {
    const auto asked = gateway.wallet->ask("orch", "noop", "noop", gateway.now_ms);
    wire::Terms stated = *orch.terms(asked);
    wire::TermsBody body;
    ASSERT_TRUE(body.ParseFromString(stated.body()));
    body.set_expires_ms(at);
    stated = actors::sign_terms(body, orch.key);
    const auto taken = gateway.wallet->take("orch", asked, stated, gateway.now_ms);
    ASSERT_FALSE(taken) << at;
    EXPECT_NE(taken.error().message.find("expires_ms"), std::string::npos) << says(taken);
  }
  auto asked = gateway.wallet->ask("orch", "noop", "noop", gateway.now_ms);
  for (const std::int64_t at : {INT64_MAX, INT64_MIN}) {
    asked.set_now_ms(at);
    EXPECT_TRUE(orch.terms(asked)) << "it is told, and nothing else";
  }
}

TEST_F(clocks, that_differ_are_told_on_both_sides_once) {
  orch.now_ms += 400 * second;
  log::set_level(log::level::warn);
  ::testing::internal::CaptureStderr();
  ASSERT_TRUE(gateway.get_terms(orch));
  gateway.wallet->drop_terms("orch");
  pass(2 * second);
  ASSERT_TRUE(gateway.get_terms(orch));
  const std::string told = ::testing::internal::GetCapturedStderr();
  const auto times = [&](const std::string& text) {
    int n = 0;
    for (auto at = told.find(text); at != std::string::npos; at = told.find(text, at + 1)) ++n;
    return n;
  };
  EXPECT_EQ(times("the time of orchestrator orch is 400 s ahead of ours"), 1) << told;
  EXPECT_EQ(times("is 400 s behind ours"), 1) << told;
}

TEST_F(clocks, a_suspension_stored_while_the_clock_was_ahead_lasts_no_longer) {
  const auto who = orch.desk->address();
  const std::int64_t right = gateway.now_ms;
  gateway.now_ms += 24 * hour;
  ASSERT_EQ(says(gateway.trade(orch, "1")), "fine");
  gateway.settle(orch, "1", outcome::silent, 0);
  ASSERT_GT(gateway.wallet->suspended_until(who), gateway.now_ms);
  gateway.now_ms = right;
  ASSERT_TRUE(gateway.get_terms(orch));
  EXPECT_EQ(gateway.pay(orch, "2").error().code, ec::payment_required);
  pass(601 * second);
  ASSERT_TRUE(gateway.get_terms(orch));
  EXPECT_EQ(says(gateway.pay(orch, "3")), "fine");
}

TEST(steady_times, begin_where_the_ledger_has_forgotten) {
  const scratch_folder folder;
  seller orch(folder.path(), "orch", unit_price);
  EXPECT_LT(std::llabs(runtime::time_of(*orch.money, "orch", true)->host_ahead_ms()), 5 * second);
  orch.now_ms = unix_ms() + year;
  buyer gateway(folder.path());
  gateway.now_ms = unix_ms();
  ASSERT_EQ(says(gateway.trade(orch, "1")), "fine");
  orch.finish(gateway, "1", 1);
  gateway.settle(orch, "1", outcome::delivered, 1);
  ASSERT_TRUE(
      orch.money->forget_expired((orch.now_ms + hour) / 12'000, (orch.now_ms + hour) / second)
          .get());
  const auto time = runtime::time_of(*orch.money, "orch", true);
  EXPECT_GE(time->ms(), orch.now_ms);
  EXPECT_LT(time->host_ahead_ms(), -300 * 24 * hour);
}

TEST(steady_times, do_not_believe_what_no_clock_says) {
  EXPECT_LE(steady_time(INT64_MAX).ms(), last_unix_ms + hour);
  steady_time time(INT64_MIN);
  EXPECT_LT(std::llabs(time.host_ahead_ms()), 5 * second);
  EXPECT_FALSE(time.tell_steps("test")) << "nobody set the clock";
}

// --- credit that is not there

class lost_credit : public clocks {};

TEST_F(lost_credit, is_paid_again_though_other_jobs_are_under_way) {
  ASSERT_EQ(says(gateway.trade(orch, "long")), "fine");  // and runs on
  const auto lost = gateway.pay(orch, "lost");
  ASSERT_TRUE(lost && lost->has_payment());
  gateway.settle(orch, "lost", outcome::unsent, 0);  // its tickets arrive nowhere
  // The credit is believed in, until it is denied.
  ASSERT_TRUE(gateway.get_terms(orch));
  const auto paid = gateway.pay(orch, "next");
  ASSERT_TRUE(paid) << says(paid);
  EXPECT_EQ(says(orch.admit(*paid)), "fine") << "what was not sent is not counted on";
  orch.finish(gateway, "next", 1);
  gateway.settle(orch, "next", outcome::delivered, 1);
}

TEST_F(lost_credit, that_is_denied_is_paid_again) {
  ASSERT_EQ(says(gateway.trade(orch, "long")), "fine");
  ASSERT_TRUE(gateway.pay(orch, "lost"));
  gateway.settle(orch, "lost", outcome::returned, 0);  // the answer of one that did not get it
  const auto first = gateway.pay(orch, "next");
  ASSERT_TRUE(first && !first->has_payment()) << says(first);
  const auto refused = orch.admit(*first);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("credit and tickets cover"), std::string::npos);
  gateway.settle(orch, "next", outcome::refused, 0);
  ASSERT_TRUE(gateway.get_terms(orch));
  const auto again = gateway.pay(orch, "next", {}, true);
  ASSERT_TRUE(again) << says(again);
  EXPECT_TRUE(again->has_payment());
  EXPECT_EQ(says(orch.admit(*again)), "fine");
  EXPECT_EQ(gateway.wallet->suspended_until(orch.desk->address()), 0);
  orch.finish(gateway, "next", 0, true);
}

TEST_F(lost_credit, one_restart_is_one_failure_however_many_jobs_it_took) {
  for (const char* id : {"1", "2", "3", "4", "5"}) ASSERT_EQ(says(gateway.trade(orch, id)), "fine");
  restart_at(orch.now_ms);
  EXPECT_EQ(gateway.wallet->suspended_until(orch.desk->address()), 0);
  EXPECT_EQ(gateway.wallet->lost(orch.desk->address()), rational(5 * 80'000'000'000));
  expect_business();
  EXPECT_TRUE(gateway.money->audit().value().ok());
}

TEST_F(lost_credit, the_smaller_of_two_limits_counts) {
  ASSERT_TRUE(gateway.get_terms(orch));
  const auto money = [](const char* text) { return *payments::parse_money(text); };
  EXPECT_EQ(gateway.pay(orch, "1", {money("100 gwei"), money("79 gwei")}).error().code,
            ec::over_budget);
  EXPECT_EQ(gateway.pay(orch, "1", {money("79 gwei"), money("100 gwei")}).error().code,
            ec::over_budget);
  EXPECT_TRUE(gateway.pay(orch, "1", {money("81 gwei"), money("100 gwei")}));
}

}  // namespace
}  // namespace lp::testing
