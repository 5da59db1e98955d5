// SPDX-License-Identifier: MIT
// How Ethereum's JSON-RPC writes numbers ("0x1a", without leading zeros) and bytes ("0x00ff").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "payments/address.hpp"
#include "payments/u256.hpp"

namespace lp::payments {

std::string to_quantity(const u256& value);
std::string to_data(std::string_view bytes);

/// The bytes of "0x" and an even number of digits; nothing for any other text.
std::optional<std::string> hex_bytes(std::string_view text);

/// Members of a node's answers; ec::bad_request, naming the member, where one is missing or of
/// another form.
result<u256> read_quantity(const boost::json::value& v, std::string_view what);
result<std::uint64_t> read_number(const boost::json::value& v, std::string_view what);
result<std::string> read_data(const boost::json::value& v, std::string_view what);
result<hash32> read_hash(const boost::json::value& v, std::string_view what);

/// The member, or null where there is none, so that the functions above report it.
const boost::json::value& member(const boost::json::object& o, std::string_view key);

}  // namespace lp::payments
