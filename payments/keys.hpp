// SPDX-License-Identifier: MIT
// secp256k1 keys and signatures as Ethereum uses them, on libsecp256k1.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "payments/address.hpp"
#include "payments/fixed_bytes.hpp"

namespace lp::payments {

/// r (32 bytes), s (32 bytes), v (27 or 28). Any 65 bytes may lie in here: recover() judges.
using signature = fixed_bytes<65, struct signature_tag>;

/// 65 raw bytes; ec::bad_request "invalid signature length" otherwise (so also for EIP-2098).
result<signature> parse_signature(std::string_view raw);

/// What a personal message (EIP-191, version 0x45) signs: keccak256("\x19Ethereum Signed
/// Message:\n", the length in decimal, the message). Ticket hashes are messages of 32 bytes.
hash32 personal_digest(std::string_view message);
hash32 personal_digest(const hash32& message);

/// Whose key made `s` over `digest`. ec::bad_request for a high s ("signature s value too high"),
/// v other than 27 and 28 ("signature v value must be 27 or 28") and for what no key could make.
/// Safe from any thread.
result<address> recover(const hash32& digest, const signature& s);

/// recover() over personal_digest().
result<address> recover_message(const hash32& message, const signature& s);

/// A secret key. Its bytes are wiped when it goes, and are never printed; copies are explicit.
class private_key {
 public:
  /// From the operating system's generator.
  static private_key generate();
  /// 32 bytes, at least 1 and below the curve's order; ec::bad_request otherwise. Wiping `raw` is
  /// the caller's.
  static result<private_key> from_bytes(std::string_view raw);
  /// 64 hexadecimal digits, with or without "0x"; for tests and imports. The message of the error
  /// does not repeat the text.
  static result<private_key> from_hex(std::string_view text);

  private_key(private_key&& other) noexcept;
  private_key& operator=(private_key&& other) noexcept;
  private_key(const private_key&) = delete;
  private_key& operator=(const private_key&) = delete;
  ~private_key();

  private_key clone() const;

  const payments::address& address() const { return address_; }
  /// The secret itself, for a key file alone.
  std::string_view secret() const;

  /// Deterministic (RFC 6979), low s, v 27 or 28, in constant time. For a transaction the parity of
  /// y is v - 27. Safe from any thread.
  signature sign(const hash32& digest) const;
  /// sign() over personal_digest().
  signature sign_message(const hash32& message) const;

 private:
  private_key() = default;
  std::array<std::uint8_t, 32> secret_{};
  payments::address address_;
};

}  // namespace lp::payments
