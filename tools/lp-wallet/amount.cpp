// SPDX-License-Identifier: MIT
#include "tools/lp-wallet/amount.hpp"

#include <fmt/core.h>

namespace lp::wallet_tool {

namespace mp = boost::multiprecision;
using payments::integer;
using payments::u256;

std::string ether_text(const u256& wei) {
  const integer one = mp::pow(integer(10), 18);
  std::string fraction = integer(integer(wei) % one).str();
  fraction.insert(fraction.begin(), 18 - fraction.size(), '0');
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  return fmt::format("{}{}{} eth", integer(integer(wei) / one).str(), fraction.empty() ? "" : ".",
                     fraction);
}

}  // namespace lp::wallet_tool
