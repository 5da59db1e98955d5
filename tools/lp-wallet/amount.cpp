// SPDX-License-Identifier: MIT
#include "tools/lp-wallet/amount.hpp"

#include <fmt/core.h>

#include "payments/price.hpp"

namespace lp::wallet_tool {

namespace mp = boost::multiprecision;
using payments::integer;
using payments::rational;
using payments::u256;

namespace {

struct unit {
  std::string_view name;
  unsigned digits;
};
// The longest that fits is taken, so that "gwei" is not read as "wei".
constexpr unit units[] = {{"ether", 18}, {"eth", 18}, {"gwei", 9}, {"wei", 0}};

integer power_of_ten(unsigned digits) {
  return mp::pow(integer(10), digits);
}

}  // namespace

result<u256> parse_amount(std::string_view text, std::string_view what) {
  std::string_view number = text;
  unsigned digits = 0;
  for (const unit& u : units) {
    if (!number.ends_with(u.name)) continue;
    number.remove_suffix(u.name.size());
    digits = u.digits;
    break;
  }
  while (number.ends_with(' ')) number.remove_suffix(1);
  const auto value = payments::parse_price(number);
  if (value) {
    const rational wei = value->wei_per_unit * power_of_ten(digits);
    if (mp::denominator(wei) == 1) return payments::to_u256(mp::numerator(wei), what);
  }
  return fail(
      ec::bad_request,
      fmt::format("{}: expected an amount such as \"1.5eth\", \"20gwei\" or \"12345\" (wei), "
                  "not \"{}\"",
                  what, text.substr(0, 80)));
}

std::string ether_text(const u256& wei) {
  const integer one = power_of_ten(18);
  std::string fraction = integer(integer(wei) % one).str();
  fraction.insert(fraction.begin(), 18 - fraction.size(), '0');
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  return fmt::format("{}{}{} eth", integer(integer(wei) / one).str(), fraction.empty() ? "" : ".",
                     fraction);
}

}  // namespace lp::wallet_tool
