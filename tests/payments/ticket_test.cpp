// SPDX-License-Identifier: MIT
// What the recorded vectors (tools/vectors) do not say.
#include "payments/ticket.hpp"

#include <gtest/gtest.h>

#include "payments/keccak.hpp"

namespace lp::payments {
namespace {

TEST(ticket, expected_value_is_exact) {
  EXPECT_EQ(expected_value(1000, max_u256()), rational(1000));
  // The largest number is odd, so that half of it is a little less than a half.
  const rational half = expected_value(1000, max_u256() / 2);
  EXPECT_LT(half, rational(500));
  EXPECT_EQ(ceil(half), 500);
  EXPECT_EQ(expected_value(0, max_u256()), rational(0));
  EXPECT_EQ(expected_value(max_u256(), max_u256()), rational(integer(max_u256())));
}

TEST(ticket, probability_and_face_value_give_at_least_the_expected_value) {
  for (const std::uint64_t face : {8'000'000'001ULL, 1'000'000'007ULL * 13, 1ULL << 62}) {
    const u256 ev = 8'000'000'000;
    const rational worth = expected_value(face, win_probability(face, ev));
    EXPECT_GE(worth, rational(integer(ev)) * (1 - rational(1, integer(1) << 60)));
    EXPECT_LE(worth, rational(integer(ev)) * (1 + rational(1, integer(1) << 60)));
  }
}

TEST(ticket, probability_never_leaves_its_range) {
  const u256 large = u256(1) << 200;
  EXPECT_EQ(win_probability(large, large), max_u256());
  EXPECT_LE(win_probability(large, large - 1), max_u256());
  EXPECT_EQ(win_probability(0, 5), 0);
}

TEST(ticket, winning_is_strictly_below) {
  const signature sig;
  const hash32 rand = keccak256("rand");
  ticket t;
  t.win_prob = win_value(sig, rand);
  EXPECT_FALSE(wins(t, sig, rand));
  t.win_prob += 1;
  EXPECT_TRUE(wins(t, sig, rand));
}

TEST(ticket, a_price_spike_alone_refuses_nobody) {
  face_value_rule rule;
  rule.ev = 8'000'000'000;
  rule.gas_price = 300'000'000'000;
  rule.max_float = u256(350'000) * 3'000'000'000;
  EXPECT_TRUE(face_value(rule));
  *rule.max_float -= 1;
  const auto refused = face_value(rule);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::payment_required);
  EXPECT_EQ(refused.error().message.find("insufficient sender reserve"), 0U);
}

TEST(ticket, the_operators_bound_holds) {
  face_value_rule rule;
  rule.ev = 8'000'000'000;
  rule.gas_price = 100'000'000;
  EXPECT_EQ(face_value(rule).value(), u256(350'000) * 100'000'000 * 100);
  rule.max_face_value = 1'234'000'000'000'000;
  EXPECT_EQ(face_value(rule).value(), 1'234'000'000'000'000);
}

TEST(ticket, the_rand_authenticates_every_parameter) {
  const hash32 secret = keccak256("secret");
  const address sender = private_key::generate().address();
  const ticket_params params{{}, 1000, 500, {}, 7, 40, {3, keccak256("block")}};
  const price p{rational(6, 5)};
  const hash32 rand = recipient_rand(secret, sender, params, p);
  EXPECT_EQ(recipient_rand(secret, sender, params, price{rational(12, 10)}), rand);
  EXPECT_NE(recipient_rand(keccak256("other"), sender, params, p), rand);
  EXPECT_NE(recipient_rand(secret, address{}, params, p), rand);
  EXPECT_NE(recipient_rand(secret, sender, params, price{rational(6, 7)}), rand);
  const auto changed = [&](auto change) {
    ticket_params other = params;
    change(other);
    return recipient_rand(secret, sender, other, p) != rand;
  };
  EXPECT_TRUE(changed([](ticket_params& o) { o.face_value = 1001; }));
  EXPECT_TRUE(changed([](ticket_params& o) { o.win_prob = 501; }));
  EXPECT_TRUE(changed([](ticket_params& o) { o.seed = 8; }));
  EXPECT_TRUE(changed([](ticket_params& o) { o.expiration_block = 41; }));
  EXPECT_TRUE(changed([](ticket_params& o) { o.made.round = 4; }));
  EXPECT_TRUE(changed([](ticket_params& o) { o.made.block_hash = keccak256("another"); }));
}

}  // namespace
}  // namespace lp::payments
