// SPDX-License-Identifier: MIT
// Unsigned 256-bit integers: wei, win probabilities, block numbers on the wire.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/multiprecision/cpp_int.hpp>

#include "payments/fixed_bytes.hpp"
#include "payments/price.hpp"
#include "runtime/base/error.hpp"

namespace lp::payments {

/// Whole numbers of any size; what amounts are computed with.
using integer = boost::multiprecision::cpp_int;

/// 0 to 2^256 - 1, checked: an operation that leaves this range throws std::range_error or
/// std::overflow_error. Compute with `integer` or `rational` and come back through to_u256(),
/// which returns an error instead.
using u256 = boost::multiprecision::number<boost::multiprecision::cpp_int_backend<
    256, 256, boost::multiprecision::unsigned_magnitude, boost::multiprecision::checked, void>>;

/// 2^256 - 1: what win probabilities are numerators over.
const u256& max_u256();

/// Decimal digits, or "0x" and 1 to 64 hexadecimal digits; no sign, no space, nothing above
/// 2^256 - 1; ec::bad_request, naming `what`, otherwise.
result<u256> parse_u256(std::string_view text, std::string_view what);

/// Big-endian bytes, at most 32 after leading zeros; "" is zero. Messages and the chain both come
/// this way. ec::bad_request, naming `what`, for a larger number or more than 32 bytes.
result<u256> u256_from_bytes(std::string_view big_endian, std::string_view what);
u256 to_u256(const hash32& big_endian);

/// ec::bad_request, naming `what`, for a negative number or one above 2^256 - 1.
result<u256> to_u256(const integer& value, std::string_view what);

/// 32 bytes, big-endian: as in hashes and contract calls.
hash32 to_bytes32(const u256& value);

/// Big-endian without leading zeros, zero is "": as in Protobuf fields and in the HMAC of tickets.
std::string to_minimal_bytes(const u256& value);

/// Decimal digits.
std::string to_text(const u256& value);

/// "12" or "12/7" in lowest terms, "-" in front if negative.
std::string to_text(const rational& value);
/// Takes back what to_text() wrote; ec::bad_file, naming `what`, otherwise.
result<rational> parse_rational(std::string_view text, std::string_view what);

/// The whole number at or below, and at or above.
integer floor(const rational& value);
integer ceil(const rational& value);

}  // namespace lp::payments
