// SPDX-License-Identifier: MIT
#include "tools/vector-runner/fields.hpp"

#include <limits>
#include <stdexcept>

#include <fmt/core.h>

namespace lp::vectors {

namespace {

template <class T>
T must(result<T> value) {
  if (!value) throw std::runtime_error(value.error().message);
  return std::move(*value);
}

}  // namespace

const boost::json::value& field(const boost::json::object& vector, std::string_view name) {
  if (const auto* value = vector.if_contains(name)) return *value;
  throw std::runtime_error(fmt::format("lacks the member {}", name));
}

std::string text_field(const boost::json::object& vector, std::string_view name) {
  const auto& value = field(vector, name);
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_int64()) return std::to_string(value.get_int64());
  if (value.is_uint64()) return std::to_string(value.get_uint64());
  throw std::runtime_error(fmt::format("{}: expected a string or a whole number", name));
}

payments::u256 number_field(const boost::json::object& vector, std::string_view name) {
  return must(payments::parse_u256(text_field(vector, name), name));
}

std::uint64_t small_field(const boost::json::object& vector, std::string_view name) {
  const payments::u256 value = number_field(vector, name);
  if (value > std::numeric_limits<std::uint64_t>::max()) {
    throw std::runtime_error(fmt::format("{}: expected at most 64 bits", name));
  }
  return static_cast<std::uint64_t>(value);
}

std::string bytes_of(std::string_view digits, std::string_view name) {
  if (digits.starts_with("0x")) digits.remove_prefix(2);
  const auto raw = from_hex(digits);
  if (!raw) throw std::runtime_error(fmt::format("{}: expected hexadecimal digits", name));
  return *raw;
}

std::string bytes_field(const boost::json::object& vector, std::string_view name) {
  return bytes_of(text_field(vector, name), name);
}

payments::hash32 hash_field(const boost::json::object& vector, std::string_view name) {
  return must(payments::from_hex<payments::hash32>(text_field(vector, name), name));
}

payments::address address_field(const boost::json::object& vector, std::string_view name) {
  return must(payments::parse_address(text_field(vector, name), name));
}

payments::private_key key_field(const boost::json::object& vector, std::string_view name) {
  return must(payments::private_key::from_hex(text_field(vector, name)));
}

payments::price price_field(const boost::json::object& vector, std::string_view name) {
  return must(payments::parse_price(text_field(vector, name)));
}

}  // namespace lp::vectors
