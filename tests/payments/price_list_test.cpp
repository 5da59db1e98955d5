// SPDX-License-Identifier: MIT
#include "payments/price_list.hpp"
#include "payments/amount.hpp"
#include "runtime/base/bytes.hpp"

#include <thread>

#include <gtest/gtest.h>

namespace lp::payments {
namespace {

price_rule rule(std::string pipeline, std::string model, std::string sender, const char* amount,
                std::uint64_t units = 1) {
  return {std::move(pipeline), std::move(model), std::move(sender), *parse_money(amount), units};
}

std::string price_of(const price_list& l, const char* pipeline, const char* model,
                     const char* sender = "") {
  const auto p = l.find(pipeline, model, sender);
  if (!p) return p.error().message;
  return *p ? to_text(**p) : "none";
}

TEST(price_list, the_rule_that_says_most_wins) {
  const price_list l(
      {rule("", "", "", "1"), rule("draw", "", "", "2"), rule("", "big", "", "3"),
       rule("draw", "big", "", "4"), rule("", "", "0xaa", "5"), rule("draw", "big", "0xbb", "6")},
      nullptr);
  EXPECT_EQ(price_of(l, "sing", "small"), "1");
  EXPECT_EQ(price_of(l, "draw", "small"), "2");
  EXPECT_EQ(price_of(l, "sing", "big"), "3");
  EXPECT_EQ(price_of(l, "draw", "big"), "4");
  EXPECT_EQ(price_of(l, "draw", "big", "0xaa"), "5");
  EXPECT_EQ(price_of(l, "draw", "big", "0xbb"), "6");
  EXPECT_EQ(price_of(l, "sing", "big", "0xbb"), "3");
  EXPECT_EQ(price_of(price_list(), "draw", "big"), "none");
  EXPECT_EQ(price_of(price_list({rule("", "", "", "1"), rule("", "", "", "7")}, nullptr), "x", "y"),
            "7");
}

TEST(price_list, turns_currencies_into_wei_exactly) {
  // Vectors: 2 ETH; 50 USD at 3000 and 6000 USD for an ETH.
  const auto at = [](int usd, const char* amount) {
    return price_of(price_list({rule("", "", "", amount)},
                               std::make_shared<fixed_feed>(
                                   std::map<std::string, rational, std::less<>>{{"usd", usd}})),
                    "p", "m");
  };
  EXPECT_EQ(at(100, "2 ETH"), "2000000000000000000");
  EXPECT_EQ(at(100, "2 USD"), "20000000000000000");
  EXPECT_EQ(at(3000, "50 usd"), "50000000000000000/3");
  EXPECT_EQ(at(6000, "50 usd"), "25000000000000000/3");
  EXPECT_EQ(at(3000, "1 gbp"), "the rate of currency \"gbp\" is not known");
  EXPECT_EQ(price_of(price_list({rule("", "", "", "3", 1'000'000)}, nullptr), "p", "m"),
            "3/1000000");
}

TEST(price_list, is_replaced_while_others_read_it) {
  price_book book(price_list({rule("", "", "", "1")}, nullptr));
  const auto before = book.current();
  std::thread writer([&] {
    for (int i = 0; i < 200; ++i) book.replace(price_list({rule("", "", "", "2")}, nullptr));
  });
  for (int i = 0; i < 200; ++i) {
    const std::string now = price_of(*book.current(), "p", "m");
    EXPECT_TRUE(now == "1" || now == "2") << now;
  }
  writer.join();
  EXPECT_EQ(price_of(*before, "p", "m"), "1");
  EXPECT_EQ(price_of(*book.current(), "p", "m"), "2");
}

TEST(money, is_read_with_its_currency) {
  EXPECT_EQ(parse_money("12")->currency, "wei");
  EXPECT_EQ(parse_money("0.02 USD")->currency, "usd");
  EXPECT_EQ(parse_money("0.02 USD")->amount, rational(1, 50));
  for (const char* text : {"",
                           " ",
                           "usd",
                           "1 us d",
                           "-1 eth",
                           "1 u$d",
                           "1 verylongname",
                           "1e",
                           "1 e",
                           "1,5 eth",
                           "1_000",
                           "0x10",
                           "1/0 eth",
                           "1 eth 2",
                           "nan",
                           "inf",
                           "1. eth",
                           "1e99 wei",
                           "1e5.5",
                           "\n1",
                           "1\n",
                           "1 \xc3\xa9th",
                           "--1",
                           "+1",
                           "1/2e3",
                           "eth 1",
                           "$1"}) {
    EXPECT_FALSE(parse_money(text)) << text;
  }
}

TEST(money, has_one_grammar_with_and_without_spaces) {
  const rational half(1, 2);
  for (const char* text : {"0.5eth", "0.5 eth", ".5ETH", "  0.5  Eth ", "0.5ether", "1/2 eth",
                           "5e-1eth", "5E-1 ether", "0.5\teth"}) {
    const auto m = parse_money(text);
    ASSERT_TRUE(m) << text;
    EXPECT_EQ(m->amount, half) << text;
    EXPECT_EQ(m->currency, "eth") << text;
  }
  EXPECT_EQ(parse_money("1e3eth")->amount, rational(1000));
  EXPECT_EQ(parse_money("1e3")->currency, "wei");
  EXPECT_EQ(parse_money("1eur")->currency, "eur");
  EXPECT_EQ(parse_money("0")->amount, rational(0));
  EXPECT_EQ(parse_money("20gwei")->currency, "gwei");
}

TEST(money, a_refusal_shows_what_was_given_as_text) {
  EXPECT_EQ(parse_money("1,5 eth").error().message,
            "expected an amount such as \"5000\" (wei), \"20 gwei\", \"0.5 eth\" or \"0.02 usd\", "
            "with a decimal point and digits alone, not \"1,5 eth\"");
  const std::string euro = "\xe2\x82\xac";
  EXPECT_TRUE(parse_money("5" + euro).error().message.ends_with("not \"5" + euro + "\""));
  std::string many;
  for (int i = 0; i < 1000; ++i) many += euro;
  const std::string said = parse_money(many).error().message;
  EXPECT_TRUE(is_utf8(said));
  EXPECT_LT(said.size(), 250U);
  EXPECT_TRUE(parse_money("\xff\xfe\n").error().message.ends_with("not \"???\""));
}

TEST(wei, is_whole_and_fits_256_bits) {
  EXPECT_EQ(parse_wei("1.5eth", "x").value(), static_cast<u256>(integer("1500000000000000000")));
  EXPECT_EQ(parse_wei("20 gwei", "x").value(), 20'000'000'000U);
  EXPECT_EQ(parse_wei("12345", "x").value(), 12345U);
  EXPECT_EQ(parse_wei("0.5 gwei", "x").value(), 500'000'000U);
  const std::pair<const char*, const char*> wrong[] = {
      {"1.5wei", "--deposit: expected an amount of whole wei, not of 3/2 wei"},
      {"1 usd", "--deposit: expected an amount in wei, gwei or eth, not in \"usd\""},
      {"1e60 eth", "--deposit: expected a whole number from 0 to 2^256 - 1"}};
  for (const auto& [text, says] : wrong) {
    const auto w = parse_wei(text, "--deposit");
    ASSERT_FALSE(w) << text;
    EXPECT_EQ(w.error().code, ec::bad_request);
    EXPECT_EQ(w.error().message, says);
  }
}

std::string fraction_of(const char* text) {
  const auto f = to_fraction(*parse_price(text));
  return f ? std::to_string(f->wei) + "/" + std::to_string(f->units) : f.error().message;
}

TEST(price_fraction, is_exact_where_it_can_be_and_rounded_up_where_not) {
  EXPECT_EQ(fraction_of("6/4"), "3/2");
  EXPECT_EQ(fraction_of("0"), "0/1");
  EXPECT_EQ(fraction_of("9223372036854775807"), "9223372036854775807/1");
  EXPECT_EQ(fraction_of("1/9223372036854775807"), "1/9223372036854775807");
  // 1/3 of 10^-9 with a denominator of 66 bits
  EXPECT_EQ(fraction_of("1/100000000000000000003"),
            "a price of 1/100000000000000000003 wei a unit is "
            "too small to be stated");
  EXPECT_EQ(fraction_of("1/3000000000000000000"), "1/3000000000000000000");
  EXPECT_EQ(fraction_of("100000000000000000001/100000000000000000000"),
            "1000000000000000001/1000000000000000000");
  EXPECT_EQ(fraction_of("9223372036854775808").substr(0, 10), "a price of");
  const auto p = parse_price("123456789012345678901234567/10000000000000000000000000");
  ASSERT_TRUE(p);
  const auto f = to_fraction(*p);
  ASSERT_TRUE(f);
  const rational stated(f->wei, f->units);
  EXPECT_GE(stated, p->wei_per_unit);
  EXPECT_LT(stated - p->wei_per_unit, rational(1, 100'000'000'000'000'000));
}

}  // namespace
}  // namespace lp::payments
