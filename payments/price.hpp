// SPDX-License-Identifier: MIT
// What a billing unit costs, exactly: prices of media are far below one wei a unit in some cases
// and far above 2^53 in others, so neither integers nor doubles will do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/multiprecision/cpp_int.hpp>

#include "runtime/base/error.hpp"

namespace lp::payments {

using rational = boost::multiprecision::cpp_rational;

/// Wei for one billing unit of a pipeline; never negative.
struct price {
  rational wei_per_unit;
};

/// An amount in some currency: "wei", "eth", or one that a price_feed knows, in lower case.
struct money {
  rational amount;
  std::string currency = "wei";
};

/// A price as it travels: wei for that many units, in lowest terms, both of 63 bits.
struct price_fraction {
  std::int64_t wei = 0;
  std::int64_t units = 1;
};

/// "4768371", "0.5", "1.2e-3" or "3/2": never negative, at most 80 digits and exponents of at most
/// 60; ec::bad_config otherwise.
result<rational> parse_amount(std::string_view text);

/// parse_amount() as wei for one unit.
result<price> parse_price(std::string_view text);

/// The one grammar of amounts: parse_amount(), then a currency of 2 to 8 letters in either case,
/// with or without spaces around: "0.02 usd", "0.5eth", "1e-6 ETH" or, as wei, "5000". "ether" is
/// "eth". Whether anybody knows the currency is for a price_feed to say. ec::bad_config, with what
/// was expected and at most 60 bytes of `text`, as UTF-8.
result<money> parse_money(std::string_view text);

/// The shortest exact form: "4768371" or "3/2". parse_price() takes it back.
std::string to_text(const price& p);

/// Wei for `units` billing units, exactly.
rational fee(const price& p, std::uint64_t units);

/// The price as a fraction of 63-bit integers. One that is none is rounded up, by less than
/// 10^-18 of a wei or the 18th digit; ec::bad_config for a price above 2^63-1 wei a unit or, but
/// for zero, below 1 wei for 2^63-1 units.
result<price_fraction> to_fraction(const price& p);

}  // namespace lp::payments
