// SPDX-License-Identifier: MIT
#include "payments/address.hpp"

#include <cctype>

#include "payments/keccak.hpp"

namespace lp::payments {

std::string to_text(const address& a) {
  std::string digits = a.hex();
  const hash32 sum = keccak256(digits);
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const int nibble = i % 2 == 0 ? sum.bytes[i / 2] >> 4 : sum.bytes[i / 2] & 15;
    if (nibble >= 8 && digits[i] >= 'a') digits[i] = static_cast<char>(digits[i] - 'a' + 'A');
  }
  return "0x" + digits;
}

result<address> parse_address(std::string_view text, std::string_view what) {
  const auto out = from_hex<address>(text, what);
  if (!out) return out;
  if (text.starts_with("0x")) text.remove_prefix(2);
  const bool lower = text.find_first_of("ABCDEF") == std::string_view::npos;
  const bool upper = text.find_first_of("abcdef") == std::string_view::npos;
  if (!lower && !upper && to_text(*out).substr(2) != text) {
    return fail(ec::bad_request,
                fmt::format("{}: the checksum of address {} is wrong; a digit must be mistyped",
                            what, text));
  }
  return out;
}

}  // namespace lp::payments
