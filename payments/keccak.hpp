// SPDX-License-Identifier: MIT
// Keccak-256 as Ethereum uses it: the padding of the first submission, not that of SHA-3.
#pragma once

#include <initializer_list>
#include <string_view>

#include "payments/fixed_bytes.hpp"

namespace lp::payments {

hash32 keccak256(std::string_view bytes);

/// Of the parts one after the other, without copying them together.
hash32 keccak256(std::initializer_list<std::string_view> parts);

/// HMAC-SHA256 of the parts one after the other.
hash32 hmac_sha256(std::string_view key, std::initializer_list<std::string_view> parts);

/// True if equal, in a time that does not depend on where they differ.
bool equal_in_constant_time(std::string_view a, std::string_view b);

/// 32 bytes from the operating system's generator, for secrets.
hash32 random_hash();

}  // namespace lp::payments
