// SPDX-License-Identifier: MIT
#include "payments/amount.hpp"

#include <fmt/core.h>

#include "payments/price_list.hpp"

namespace lp::payments {

result<u256> parse_wei(std::string_view text, std::string_view what) {
  const auto given = parse_money(text);
  if (!given) return fail(ec::bad_request, fmt::format("{}: {}", what, given.error().message));
  const auto unit = fixed_feed({}).wei_per(given->currency);
  if (!unit) {
    return fail(ec::bad_request,
                fmt::format("{}: expected an amount in wei, gwei or eth, not in \"{}\"", what,
                            given->currency));
  }
  const rational wei = given->amount * *unit;
  if (denominator(wei) == 1) return to_u256(numerator(wei), what);
  return fail(ec::bad_request, fmt::format("{}: expected an amount of whole wei, not of {} wei",
                                           what, wei.str().substr(0, 100)));
}

}  // namespace lp::payments
