// SPDX-License-Identifier: MIT
#include "payments/chain/quantity.hpp"

#include <limits>

#include <fmt/core.h>

#include "runtime/base/bytes.hpp"

namespace lp::payments {

namespace json = boost::json;

namespace {

std::string_view text_of(const json::value& v) {
  return v.is_string() ? std::string_view(v.get_string()) : std::string_view();
}

}  // namespace

std::string to_quantity(const u256& value) {
  if (value == 0) return "0x0";
  std::string digits = to_hex(to_minimal_bytes(value));
  if (digits.front() == '0') digits.erase(0, 1);
  return "0x" + digits;
}

std::string to_data(std::string_view bytes) {
  return "0x" + to_hex(bytes);
}

std::optional<std::string> hex_bytes(std::string_view text) {
  if (!text.starts_with("0x")) return std::nullopt;
  return lp::from_hex(text.substr(2));
}

result<u256> read_quantity(const json::value& v, std::string_view what) {
  const std::string_view text = text_of(v);
  if (text.starts_with("0x") && text.size() > 2) {
    if (auto value = parse_u256(text, what)) return value;
  }
  return fail(ec::bad_request, fmt::format("the Ethereum node's {}: expected \"0x\" and digits, "
                                           "not \"{}\"",
                                           what, text.substr(0, 80)));
}

result<std::uint64_t> read_number(const json::value& v, std::string_view what) {
  const auto value = read_quantity(v, what);
  if (!value) return fail(value.error());
  if (*value <= (std::numeric_limits<std::uint64_t>::max)()) {
    return static_cast<std::uint64_t>(*value);
  }
  return fail(ec::bad_request,
              fmt::format("the Ethereum node's {}: expected less than 2^64", what));
}

result<std::string> read_data(const json::value& v, std::string_view what) {
  if (auto bytes = hex_bytes(text_of(v))) return std::move(*bytes);
  return fail(ec::bad_request,
              fmt::format("the Ethereum node's {}: expected \"0x\" and pairs of digits", what));
}

result<hash32> read_hash(const json::value& v, std::string_view what) {
  const auto bytes = read_data(v, what);
  if (!bytes) return fail(bytes.error());
  return from_bytes<hash32>(*bytes, what);
}

const json::value& member(const json::object& o, std::string_view key) {
  static const json::value none;
  const json::value* found = o.if_contains(key);
  return found ? *found : none;
}

}  // namespace lp::payments
