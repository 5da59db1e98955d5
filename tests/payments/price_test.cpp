// SPDX-License-Identifier: MIT
#include "payments/price.hpp"

#include <gtest/gtest.h>

namespace lp::payments {
namespace {

std::string round_trip(const char* text) {
  const auto p = parse_price(text);
  return p ? to_text(*p) : "refused";
}

TEST(price, is_exact) {
  EXPECT_EQ(round_trip("4768371"), "4768371");
  EXPECT_EQ(round_trip("0"), "0");
  EXPECT_EQ(round_trip("007"), "7");
  EXPECT_EQ(round_trip("0.5"), "1/2");
  EXPECT_EQ(round_trip(".25"), "1/4");
  EXPECT_EQ(round_trip("1.2e-3"), "3/2500");
  EXPECT_EQ(round_trip("1.5e+3"), "1500");
  EXPECT_EQ(round_trip("6/4"), "3/2");
  EXPECT_EQ(round_trip("115792089237316195423570985008687907853269984665640564039457"),
            "115792089237316195423570985008687907853269984665640564039457");
}

TEST(price, reads_its_own_text) {
  for (const char* text : {"3/2500", "12", "0"}) EXPECT_EQ(round_trip(text), text);
}

TEST(price, refuses_everything_else) {
  for (const char* text : {"", "-1", "+1", "1.", ".", "1e", "1e99999", "e5", "1/0", "1/-2", "1/2/3",
                           "0x10", "1 ", " 1", "nan", "1,5", "1e5.5", "/2", "2/"}) {
    const auto p = parse_price(text);
    ASSERT_FALSE(p) << text;
    EXPECT_EQ(p.error().code, ec::bad_config);
  }
  EXPECT_FALSE(parse_price(std::string(81, '9')));
}

TEST(price, a_fee_below_one_wei_a_unit_adds_up) {
  const auto p = parse_price("1/3");
  ASSERT_TRUE(p);
  EXPECT_EQ(fee(*p, 9), rational(3));
  EXPECT_EQ(fee(*p, 1), rational(1, 3));
  EXPECT_EQ(fee(*p, UINT64_MAX), rational(UINT64_MAX) / 3);
}

}  // namespace
}  // namespace lp::payments
