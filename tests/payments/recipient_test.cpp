// SPDX-License-Identifier: MIT
#include "payments/recipient.hpp"

#include <gtest/gtest.h>

#include "payments/keccak.hpp"
#include "tests/payments/parties.hpp"

namespace lp::payments {
namespace {

using testing::parties;
using testing::scope;

std::string why(const result<checked_payment>& r) {
  return r ? "taken" : r.error().message;
}

TEST(recipient, takes_what_it_offered) {
  const parties p(keccak256("secret"));
  const ticket_params offer = p.offer();
  EXPECT_EQ(offer.expiration_block, 1040);
  const auto checked = p.taker.check(p.pay(offer, 1, 3), scope, p.view, {});
  ASSERT_TRUE(checked) << checked.error().message;
  EXPECT_EQ(checked->tickets.size(), 3U);
  EXPECT_FALSE(checked->stopped_by);
  EXPECT_EQ(checked->ev, expected_value(offer));
  EXPECT_EQ(checked->agreed.wei_per_unit, rational(3, 2));
  EXPECT_EQ(rand_hash(checked->recipient_rand), offer.recipient_rand_hash);
}

TEST(recipient, about_one_ticket_in_a_hundred_wins) {
  const parties p(keccak256("secret"));
  std::size_t won = 0;
  for (int i = 0; i < 4; ++i) {
    for (const checked_ticket& t : p.checked(p.offer(), 1, 600).tickets) won += t.won ? 1 : 0;
  }
  // 24 expected; this range is left about once in a million million runs.
  EXPECT_GT(won, 2U);
  EXPECT_LT(won, 75U);
}

TEST(recipient, a_restart_with_the_same_secret_takes_old_tickets) {
  const parties p(keccak256("secret"));
  const payment paid = p.pay(p.offer(), 1, 1);
  const recipient again(p.taker.me(), keccak256("secret"), {});
  EXPECT_EQ(why(again.check(paid, scope, p.view, {})), "taken");
  const recipient other(p.taker.me(), keccak256("another"), {});
  EXPECT_NE(why(other.check(paid, scope, p.view, {})), "taken");
}

TEST(recipient, refuses_a_payment_that_pays_nothing) {
  const parties p;
  payment paid = p.pay(p.offer(), 1, 1);
  const auto with_price = [&](std::optional<rational> price) {
    payment other = paid;
    other.expected_price = std::move(price);
    return p.taker.check(other, scope, p.view, {});
  };
  for (const auto& wrong : {std::optional<rational>(), std::optional<rational>(0),
                            std::optional<rational>(rational(-3, 2))}) {
    const auto refused = with_price(wrong);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ec::payment_required);
    EXPECT_NE(refused.error().message.find("price"), std::string::npos);
  }
  paid.tickets.clear();
  EXPECT_EQ(why(p.taker.check(paid, scope, p.view, {})), "a payment needs at least one ticket");
}

TEST(recipient, refuses_whatever_differs_from_the_offer) {
  const parties p;
  const payment good = p.pay(p.offer(), 1, 1);
  const auto after = [&](auto change) {
    payment other = good;
    change(other);
    return why(p.taker.check(other, scope, p.view, {}));
  };
  const std::string rand = "invalid recipientRand for ticket recipientRandHash";
  EXPECT_EQ(after([](payment& o) { o.params.recipient = {}; }), "invalid ticket recipient");
  EXPECT_EQ(after([](payment& o) { o.sender = {}; }), "invalid ticket sender");
  EXPECT_EQ(after([](payment& o) { o.sender.bytes[0] ^= 1; }).find(rand), 0U);
  EXPECT_EQ(after([](payment& o) { o.params.face_value += 1; }).find(rand), 0U);
  EXPECT_EQ(after([](payment& o) { o.params.win_prob -= 1; }).find(rand), 0U);
  EXPECT_EQ(after([](payment& o) { o.params.seed += 1; }).find(rand), 0U);
  EXPECT_EQ(after([](payment& o) { o.params.seed = max_u256(); }).find(rand), 0U);
  EXPECT_EQ(after([](payment& o) { o.params.expiration_block += 1000; }).find(rand), 0U);
  EXPECT_EQ(after([](payment& o) { o.params.made.round = 9; }).find(rand), 0U);
  EXPECT_EQ(after([](payment& o) { o.params.recipient_rand_hash.bytes[5] ^= 1; }).find(rand), 0U);
  EXPECT_EQ(after([](payment& o) { o.expected_price = rational(1); }).find(rand), 0U);
  // Bought for one model, spent on another.
  EXPECT_EQ(why(p.taker.check(good, "27_large", p.view, {})).find(rand), 0U);
}

// Joined without lengths, 0x1234/1 and 0x12/0x3401 are the same bytes for the HMAC of the
// reference, and so are an expiry and a price with digits moved between them.
TEST(recipient, digits_cannot_move_from_one_number_to_the_next) {
  parties p;
  p.agreed = price{rational(0x1234)};
  const payment good = p.pay(p.offer(), 1, 1);
  payment cheap = good;
  cheap.expected_price = rational(0x12, 0x3401);
  ASSERT_EQ(recipient_rand({}, good.sender, good.params, price{*good.expected_price}),
            recipient_rand({}, good.sender, good.params, price{*cheap.expected_price}));
  EXPECT_NE(why(p.taker.check(cheap, scope, p.view, {})), "taken");
  payment late = good;
  late.params.expiration_block = good.params.expiration_block * 256 + 0x12;
  late.expected_price = rational(0x34);
  ASSERT_EQ(recipient_rand({}, good.sender, good.params, price{*good.expected_price}),
            recipient_rand({}, late.sender, late.params, price{*late.expected_price}));
  EXPECT_NE(why(p.taker.check(late, scope, p.view, {})), "taken");
}

TEST(recipient, a_bad_signature_ends_the_credit) {
  const parties p;
  payment paid = p.pay(p.offer(), 1, 4);
  const private_key stranger = private_key::generate();
  paid.tickets[2].sig = sign_tickets(stranger, paid.params, 3, 1)[0].sig;
  auto checked = p.taker.check(paid, scope, p.view, {});
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->tickets.size(), 2U);
  EXPECT_EQ(checked->stopped_by->message.find("invalid ticket signature (nonce 3)"), 0U);
  paid.tickets[0].nonce = 7;
  checked = p.taker.check(paid, scope, p.view, {});
  ASSERT_TRUE(checked);
  EXPECT_TRUE(checked->tickets.empty());
}

TEST(recipient, bounds_the_work_of_one_payment) {
  const parties p;
  payment paid = p.pay(p.offer(), 1, 1);
  paid.tickets.resize(601, paid.tickets.front());
  EXPECT_EQ(why(p.taker.check(paid, scope, p.view, {})).find("a payment may have at most 600"), 0U);
}

TEST(recipient, looks_at_the_senders_money_first) {
  const parties p;
  const payment paid = p.pay(p.offer(), 1, 1);
  const sender_funds rich{1'000'000'000'000'000, 1'000'000'000'000'000, 0, 0, 0};
  const auto with = [&](sender_funds funds) {
    return why(p.taker.check(paid, scope, p.view, funds));
  };
  EXPECT_EQ(with(rich), "taken");
  sender_funds f = rich;
  f.deposit = 0;
  EXPECT_EQ(with(f), "the sender has no deposit");
  f = rich;
  f.reserve = 0;
  EXPECT_EQ(with(f), "the sender has no reserve");
  f = rich;
  f.withdraw_round = p.view.round + 1;
  EXPECT_EQ(with(f).find("the sender may withdraw"), 0U);
  f.withdraw_round = p.view.round + 2;
  EXPECT_EQ(with(f), "taken");
}

TEST(recipient, offers_no_more_than_the_reserve_covers) {
  parties p;
  p.view.pool_size = 50;
  p.view.gas_price = 1'000'000'000;
  const u256 cost = u256(350'000) * 1'000'000'000;
  sender_funds funds{cost * 1000, cost * 50 * 7, 0, 0, 0};
  EXPECT_EQ(p.taker.offer(p.terms(), p.view, funds, 0).value().face_value, cost * 7);
  // A deposit of three times what is pending covers that too.
  EXPECT_EQ(p.taker.offer(p.terms(), p.view, funds, cost * 300).value().face_value, cost * 7);
  funds.deposit = cost * 5;
  EXPECT_EQ(p.taker.offer(p.terms(), p.view, funds, cost * 2).value().face_value, cost * 5);
  const auto none = p.taker.offer(p.terms(), p.view, funds, cost * 7);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message.find("insufficient sender reserve"), 0U);
  EXPECT_FALSE(p.taker.offer({p.gateway.address(), price{0}, scope}, p.view, {}, 0));
}

// The reference's figures: reserve 500, 50 orchestrators.
TEST(max_float, is_the_references) {
  const sender_funds funds{1000, 500, 100, 2, 0};
  EXPECT_EQ(reserve_share(funds, 50), 10);
  EXPECT_EQ(reserve_share(funds, 0), 0);
  EXPECT_EQ(reserve_share({0, 0, 0, 7, 0}, 50), 0);
  EXPECT_EQ(max_float(funds, 50, 0), 10);
  EXPECT_EQ(max_float({20, 500, 100, 2, 0}, 50, 5), 10);
  EXPECT_EQ(max_float({15, 500, 100, 2, 0}, 50, 5), 10);
  EXPECT_EQ(max_float({10, 500, 100, 2, 0}, 50, 5), 5);
  EXPECT_EQ(max_float({0, 500, 100, 2, 0}, 50, 5), 5);
  EXPECT_EQ(max_float({0, 500, 100, 2, 0}, 50, 50), 0);
}

}  // namespace
}  // namespace lp::payments
