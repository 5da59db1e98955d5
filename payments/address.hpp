// SPDX-License-Identifier: MIT
// Ethereum addresses and their checksum (EIP-55).
#pragma once

#include <string>
#include <string_view>

#include "payments/fixed_bytes.hpp"

namespace lp::payments {

/// The last 20 bytes of the Keccak-256 of a public key. Zero is nobody.
using address = fixed_bytes<20, struct address_tag>;

/// "0x" and 40 digits whose upper case carries the checksum: how addresses are shown everywhere.
std::string to_text(const address& a);

/// "0x" (or nothing) and 40 hexadecimal digits. In mixed case the checksum must be right;
/// ec::bad_request, naming `what`, otherwise.
result<address> parse_address(std::string_view text, std::string_view what);

}  // namespace lp::payments
