// SPDX-License-Identifier: MIT
#include "payments/u256.hpp"

#include <gtest/gtest.h>

namespace lp::payments {
namespace {

const std::string biggest =
    "115792089237316195423570985008687907853269984665640564039457584007913129639935";

TEST(u256, reads_what_it_writes) {
  for (const std::string& text :
       {std::string("0"), std::string("1"), std::string("1000000000000000"), biggest}) {
    const auto value = parse_u256(text, "amount");
    ASSERT_TRUE(value) << text;
    EXPECT_EQ(to_text(*value), text);
    EXPECT_EQ(u256_from_bytes(to_minimal_bytes(*value), "amount").value(), *value);
    EXPECT_EQ(to_u256(to_bytes32(*value)), *value);
    EXPECT_EQ(parse_u256("0x" + to_bytes32(*value).hex(), "amount").value(), *value);
  }
  EXPECT_EQ(*parse_u256(biggest, "amount"), max_u256());
  EXPECT_EQ(*parse_u256("010", "amount"), 10);
  EXPECT_EQ(*parse_u256("0xfF1", "amount"), 0xff1);
}

TEST(u256, bytes_are_big_endian) {
  EXPECT_EQ(to_minimal_bytes(u256(0)), "");
  EXPECT_EQ(to_minimal_bytes(u256(0x80ff)), "\x80\xff");
  EXPECT_EQ(to_bytes32(u256(258)).hex(), std::string(60, '0') + "0102");
  EXPECT_EQ(*u256_from_bytes(std::string(40, '\0') + "\x01\x02", "amount"), 258);
  EXPECT_EQ(*u256_from_bytes("", "amount"), 0);
  EXPECT_FALSE(u256_from_bytes(std::string(33, '\1'), "amount"));
}

TEST(u256, refuses_everything_else) {
  for (const std::string& text :
       {std::string(), std::string("-1"), std::string("+1"), std::string(" 1"), std::string("1 "),
        std::string("1.0"), std::string("0x"), std::string("0x-1"), std::string("1e3"),
        std::string("ff"), "0x1" + std::string(64, '0'), std::string(79, '0'),
        std::string(
            "115792089237316195423570985008687907853269984665640564039457584007913129639936")}) {
    const auto value = parse_u256(text, "amount");
    ASSERT_FALSE(value) << text;
    EXPECT_EQ(value.error().code, ec::bad_request);
  }
  EXPECT_FALSE(to_u256(integer(-1), "amount"));
  EXPECT_FALSE(to_u256(integer(max_u256()) + 1, "amount"));
  EXPECT_EQ(*to_u256(integer(max_u256()), "amount"), max_u256());
}

TEST(u256, never_wraps_around) {
  EXPECT_ANY_THROW(u256(max_u256() + 1));
  EXPECT_ANY_THROW(u256(u256(1) - 2));
}

TEST(rationals, read_what_they_write) {
  for (const char* text : {"0", "12", "12/7", "-12/7", "-1"}) {
    const auto value = parse_rational(text, "balance");
    ASSERT_TRUE(value) << text;
    EXPECT_EQ(to_text(*value), text);
  }
  for (const char* text : {"", "-", "1/0", "/2", "1/", "1/-2", "--1", "1.5", "1/2/3"}) {
    EXPECT_FALSE(parse_rational(text, "balance")) << text;
  }
}

TEST(rationals, round_towards_either_side) {
  EXPECT_EQ(floor(rational(7, 2)), 3);
  EXPECT_EQ(ceil(rational(7, 2)), 4);
  EXPECT_EQ(floor(rational(-7, 2)), -4);
  EXPECT_EQ(ceil(rational(-7, 2)), -3);
  EXPECT_EQ(floor(rational(4)), 4);
  EXPECT_EQ(ceil(rational(4)), 4);
}

}  // namespace
}  // namespace lp::payments
