// SPDX-License-Identifier: MIT
#include "actors/signer_book.hpp"

#include <gtest/gtest.h>

namespace lp::actors {
namespace {

payments::address number(std::uint8_t n) {
  payments::address out;
  out.bytes.back() = n;
  return out;
}

TEST(signer_book, a_name_belongs_to_whoever_had_it_first) {
  signer_book book;
  EXPECT_FALSE(book.find("orch"));
  EXPECT_TRUE(book.claim("orch", number(1)));
  EXPECT_TRUE(book.claim("orch", number(1))) << "it came back";
  EXPECT_FALSE(book.claim("orch", number(2)));
  EXPECT_EQ(book.find("orch"), number(1));
}

TEST(signer_book, an_address_has_one_name_at_a_time) {
  signer_book book;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(book.claim(std::to_string(i), number(1)));
  EXPECT_FALSE(book.find("998"));
  EXPECT_EQ(book.find("999"), number(1));
  EXPECT_TRUE(book.claim("998", number(2)));
  EXPECT_FALSE(book.claim("998", number(1)));
  EXPECT_EQ(book.find("999"), number(1)) << "a name that is refused changes nothing";
}

}  // namespace
}  // namespace lp::actors
