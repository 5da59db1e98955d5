// SPDX-License-Identifier: MIT
#include "payments/u256.hpp"

#include <algorithm>
#include <iterator>

namespace lp::payments {

namespace mp = boost::multiprecision;

namespace {

constexpr std::size_t most_decimal_digits = 78;
constexpr std::size_t most_rational_text = 4096;

bool all_decimal(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Boost reads a leading zero as octal.
integer from_decimal(std::string_view digits) {
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size() - 1));
  return integer(std::string(digits));
}

}  // namespace

const u256& max_u256() {
  static const u256 value = (std::numeric_limits<u256>::max)();
  return value;
}

result<u256> parse_u256(std::string_view text, std::string_view what) {
  if (text.starts_with("0x")) {
    std::string digits(text.substr(2));
    if (digits.size() % 2 == 1) digits.insert(digits.begin(), '0');
    const auto raw = lp::from_hex(digits);
    if (raw && !raw->empty() && raw->size() <= 32) return u256_from_bytes(*raw, what);
  } else if (all_decimal(text) && text.size() <= most_decimal_digits) {
    return to_u256(from_decimal(text), what);
  }
  return fail(ec::bad_request,
              fmt::format("{}: expected a whole number from 0 to 2^256 - 1, not \"{}\"", what,
                          text.substr(0, 100)));
}

result<u256> u256_from_bytes(std::string_view big_endian, std::string_view what) {
  const auto first = std::find_if(big_endian.begin(), big_endian.end(), [](char c) { return c; });
  big_endian.remove_prefix(static_cast<std::size_t>(first - big_endian.begin()));
  if (big_endian.size() > 32) {
    return fail(ec::bad_request,
                fmt::format("{}: expected at most 32 bytes, not {}", what, big_endian.size()));
  }
  // Bytes are imported as unsigned ones, whatever the sign of char.
  const auto* raw = reinterpret_cast<const std::uint8_t*>(big_endian.data());
  u256 out = 0;
  if (!big_endian.empty()) mp::import_bits(out, raw, raw + big_endian.size(), 8, true);
  return out;
}

u256 to_u256(const hash32& big_endian) {
  u256 out = 0;
  mp::import_bits(out, big_endian.bytes.begin(), big_endian.bytes.end(), 8, true);
  return out;
}

result<u256> to_u256(const integer& value, std::string_view what) {
  if (value < 0 || (value != 0 && mp::msb(value) >= 256)) {
    return fail(ec::bad_request,
                fmt::format("{}: expected a whole number from 0 to 2^256 - 1", what));
  }
  return static_cast<u256>(value);
}

hash32 to_bytes32(const u256& value) {
  const std::string minimal = to_minimal_bytes(value);
  hash32 out;
  std::copy(minimal.begin(), minimal.end(), out.bytes.end() - static_cast<long>(minimal.size()));
  return out;
}

std::string to_minimal_bytes(const u256& value) {
  if (value == 0) return {};
  std::string out(mp::msb(value) / 8 + 1, '\0');
  mp::export_bits(value, reinterpret_cast<std::uint8_t*>(out.data()), 8, true);
  return out;
}

std::string to_text(const u256& value) {
  return value.str();
}

std::string to_text(const rational& value) {
  return value.str();
}

result<rational> parse_rational(std::string_view text, std::string_view what) {
  const std::string_view all = text;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const auto slash = text.find('/');
  const std::string_view above = text.substr(0, slash);
  const std::string_view below = slash == std::string_view::npos ? "1" : text.substr(slash + 1);
  if (all.size() <= most_rational_text && all_decimal(above) && all_decimal(below)) {
    const integer denominator = from_decimal(below);
    const rational value =
        denominator == 0 ? rational(0) : rational(from_decimal(above), denominator);
    if (denominator != 0) return negative ? rational(-value) : value;
  }
  return fail(ec::bad_file, fmt::format("{}: expected a number such as \"12\" or \"12/7\", not "
                                        "\"{}\"",
                                        what, all.substr(0, 100)));
}

integer floor(const rational& value) {
  integer quotient, remainder;
  mp::divide_qr(integer(mp::numerator(value)), integer(mp::denominator(value)), quotient,
                remainder);
  return remainder < 0 ? integer(quotient - 1) : quotient;
}

integer ceil(const rational& value) {
  return -floor(-value);
}

}  // namespace lp::payments
