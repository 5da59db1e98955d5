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

/// "4768371", "0.5", "1.2e-3" or "3/2", with at most 80 digits and exponents of at most 60;
/// ec::bad_config otherwise.
result<price> parse_price(std::string_view text);

/// The shortest exact form: "4768371" or "3/2". parse_price() takes it back.
std::string to_text(const price& p);

/// Wei for `units` billing units, exactly.
rational fee(const price& p, std::uint64_t units);

}  // namespace lp::payments
