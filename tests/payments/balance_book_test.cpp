// SPDX-License-Identifier: MIT
#include "payments/balance_book.hpp"

#include <gtest/gtest.h>

#include <random>

namespace lp::payments {
namespace {

account_key key(side of, std::uint8_t who) {
  account_key k{of, {}};
  k.other.bytes[19] = who;
  return k;
}

const account_key alice = key(side::incoming, 1);

TEST(balance_book, holds_the_price_until_the_job_is_over) {
  balance_book book;
  ASSERT_TRUE(book.credit(alice, rational(7, 3), 1));
  ASSERT_TRUE(book.reserve(alice, "a", 2));
  EXPECT_EQ(book.find(alice).credit, rational(1, 3));
  EXPECT_EQ(book.find(alice).reserved, rational(2));
  EXPECT_EQ(book.reserve(alice, "b", 1).error().code, ec::payment_required);
  EXPECT_EQ(book.reserve(alice, "a", 0).error().code, ec::bad_request);
  // Cancelled half-way: what was done is paid, the rest comes back.
  ASSERT_TRUE(book.settle(alice, "a", rational(1, 2)));
  EXPECT_EQ(book.find(alice).credit, rational(11, 6));
  EXPECT_EQ(book.find(alice).reserved, rational(0));
  EXPECT_EQ(book.settle(alice, "a", 0).error().code, ec::not_found);
}

TEST(balance_book, failure_returns_all_and_nothing_costs_more_than_was_reserved) {
  balance_book book;
  ASSERT_TRUE(book.credit(alice, 10, 1));
  ASSERT_TRUE(book.reserve(alice, "a", 4));
  ASSERT_TRUE(book.settle(alice, "a", 0));
  EXPECT_EQ(book.find(alice).credit, rational(10));
  ASSERT_TRUE(book.reserve(alice, "a", 4));
  ASSERT_TRUE(book.settle(alice, "a", 400));
  EXPECT_EQ(book.find(alice).credit, rational(6));
}

TEST(balance_book, nothing_below_zero_goes_in) {
  balance_book book;
  ASSERT_TRUE(book.credit(alice, 10, 1));
  EXPECT_FALSE(book.credit(alice, -1, 2));
  EXPECT_FALSE(book.reserve(alice, "a", -1));
  ASSERT_TRUE(book.reserve(alice, "a", 1));
  EXPECT_FALSE(book.settle(alice, "a", -1));
  EXPECT_FALSE(book.write_off(alice, -1));
  EXPECT_EQ(book.find(alice).credit, rational(9));
}

TEST(balance_book, jobs_of_two_senders_may_have_one_name) {
  balance_book book;
  const account_key bob = key(side::incoming, 2);
  ASSERT_TRUE(book.credit(alice, 5, 1));
  ASSERT_TRUE(book.credit(bob, 5, 2));
  ASSERT_TRUE(book.reserve(alice, "a", 5));
  ASSERT_TRUE(book.reserve(bob, "a", 5));
  ASSERT_TRUE(book.settle(bob, "a", 5));
  EXPECT_EQ(book.find(alice).reserved, rational(5));
}

TEST(balance_book, writing_off_only_lowers) {
  balance_book book;
  ASSERT_TRUE(book.credit(alice, 5, 1));
  EXPECT_TRUE(book.write_off(alice, 6).value().empty());
  EXPECT_EQ(book.write_off(alice, 2).value().size(), 1U);
  EXPECT_EQ(book.find(alice).credit, rational(2));
}

// Whatever happens, the events alone make the same balances, and what came in is what was used and
// what is there.
TEST(balance_book, its_events_make_it_again) {
  std::mt19937 random(7);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  balance_book book;
  balance_book replayed;
  rational in = 0;
  rational used = 0;
  const auto note = [&](const std::vector<event>& events) {
    for (const event& e : events) {
      const auto applied = replayed.apply(e);
      ASSERT_TRUE(applied) << applied.error().message;
      if (e.kind == event_kind::tickets) in += e.amount;
      if (e.kind == event_kind::debit || e.kind == event_kind::write_off) used += e.amount;
    }
  };
  for (int i = 0; i < 3000; ++i) {
    const account_key who =
        key(below(2) == 0 ? side::incoming : side::outgoing, static_cast<std::uint8_t>(below(4)));
    const std::string job = std::to_string(below(6));
    const rational amount(below(1000), 1 + below(50));
    switch (below(5)) {
      case 0:
        note({book.credit(who, amount, static_cast<std::uint64_t>(i)).value()});
        break;
      case 1:
      case 2:
        if (const auto e = book.reserve(who, job, amount)) note({*e});
        break;
      case 3:
        if (const auto e = book.settle(who, job, amount)) note(*e);
        break;
      default:
        if (below(20) == 0) note(book.write_off(who, amount).value());
    }
    ASSERT_GE(book.find(who).credit, 0);
    ASSERT_GE(book.find(who).reserved, 0);
  }
  rational there = 0;
  for (const auto& [who, a] : book.accounts()) {
    EXPECT_EQ(replayed.find(who).credit, a.credit);
    EXPECT_EQ(replayed.find(who).reserved, a.reserved);
    there += a.credit + a.reserved;
  }
  EXPECT_EQ(in, used + there);
  EXPECT_EQ(replayed.jobs().size(), book.jobs().size());
  EXPECT_GT(used, 0);
}

TEST(balance_book, refuses_events_that_cannot_have_happened) {
  balance_book book;
  EXPECT_FALSE(book.apply({event_kind::reserve, alice, 1, "a", 0}));
  EXPECT_FALSE(book.apply({event_kind::debit, alice, 1, "a", 0}));
  EXPECT_FALSE(book.apply({event_kind::write_off, alice, 1, "", 0}));
  EXPECT_FALSE(book.apply({event_kind::tickets, alice, -1, "", 1}));
  EXPECT_FALSE(book.apply({static_cast<event_kind>(99), alice, 1, "", 1}));
}

TEST(balance_book, stays_small_whatever_the_prices) {
  balance_book book;
  balance_book replayed;
  integer prime = (integer(1) << 61) - 1;
  for (int i = 0; i < 200; ++i, prime += 2) {
    ASSERT_TRUE(replayed.apply(book.credit(alice, rational(integer(1) << 70, prime), 1).value()));
    const auto held = book.reserve(alice, "a", rational(1, prime + 1));
    ASSERT_TRUE(replayed.apply(*held));
    EXPECT_GE(held->amount, rational(1, prime + 1));
    const auto settled = book.settle(alice, "a", rational(1, prime + 1));
    for (const event& e : *settled) ASSERT_TRUE(replayed.apply(e));
  }
  const integer below = boost::multiprecision::denominator(book.find(alice).credit);
  EXPECT_LT(boost::multiprecision::msb(below), 1024U);
  EXPECT_EQ(replayed.find(alice).credit, book.find(alice).credit);
  EXPECT_EQ(replayed.find(alice).reserved, rational(0));
}

}  // namespace
}  // namespace lp::payments
