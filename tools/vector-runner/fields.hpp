// SPDX-License-Identifier: MIT
// Members of a vector as values. They throw std::runtime_error, naming the member and what was
// expected, and the vector fails with that message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "payments/address.hpp"
#include "payments/keys.hpp"
#include "payments/price.hpp"
#include "payments/u256.hpp"

namespace lp::vectors {

const boost::json::value& field(const boost::json::object& vector, std::string_view name);
std::string text_field(const boost::json::object& vector, std::string_view name);
/// A number, or a string of decimal digits.
payments::u256 number_field(const boost::json::object& vector, std::string_view name);
std::uint64_t small_field(const boost::json::object& vector, std::string_view name);
/// Any number of bytes in hexadecimal.
std::string bytes_field(const boost::json::object& vector, std::string_view name);
payments::hash32 hash_field(const boost::json::object& vector, std::string_view name);
payments::address address_field(const boost::json::object& vector, std::string_view name);
payments::private_key key_field(const boost::json::object& vector, std::string_view name);
payments::price price_field(const boost::json::object& vector, std::string_view name);

/// Hexadecimal digits to bytes, "0x" allowed.
std::string bytes_of(std::string_view digits, std::string_view name);

}  // namespace lp::vectors
