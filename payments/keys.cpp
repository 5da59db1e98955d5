// SPDX-License-Identifier: MIT
#include "payments/keys.hpp"

#include <memory>

#include <openssl/crypto.h>
#include <secp256k1.h>
#include <secp256k1_recovery.h>

#include "payments/keccak.hpp"
#include "runtime/base/log.hpp"

namespace lp::payments {

namespace {

// Half of the curve's order: of the two values of s that are valid, the smaller one is allowed.
constexpr std::array<std::uint8_t, 32> half_order = {
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0};

// One context for all threads, blinded once against timing and power analysis; after that it is
// only read.
const secp256k1_context* context() {
  static const std::unique_ptr<secp256k1_context, void (*)(secp256k1_context*)> shared = [] {
    secp256k1_context* made = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
    hash32 seed = random_hash();
    // Signing is in constant time without it as well, so a failure is no reason to stop.
    if (secp256k1_context_randomize(made, seed.bytes.data()) != 1) {
      log::error("payments", "libsecp256k1 could not blind its context");
    }
    OPENSSL_cleanse(seed.bytes.data(), seed.bytes.size());
    return std::unique_ptr<secp256k1_context, void (*)(secp256k1_context*)>(
        made, secp256k1_context_destroy);
  }();
  return shared.get();
}

address address_of(const secp256k1_pubkey& key) {
  std::array<std::uint8_t, 65> raw{};
  std::size_t length = raw.size();
  secp256k1_ec_pubkey_serialize(context(), raw.data(), &length, &key, SECP256K1_EC_UNCOMPRESSED);
  const hash32 hash = keccak256({reinterpret_cast<const char*>(raw.data()) + 1, raw.size() - 1});
  address out;
  std::copy(hash.bytes.begin() + 12, hash.bytes.end(), out.bytes.begin());
  return out;
}

}  // namespace

result<signature> parse_signature(std::string_view raw) {
  if (raw.size() != signature::length) {
    return fail(ec::bad_request,
                fmt::format("invalid signature length: expected 65 bytes, not {}", raw.size()));
  }
  return from_bytes<signature>(raw, "signature");
}

hash32 personal_digest(std::string_view message) {
  const std::string head = fmt::format(
      "\x19"
      "Ethereum Signed Message:\n{}",
      message.size());
  return keccak256({head, message});
}

hash32 personal_digest(const hash32& message) {
  return keccak256(
      {"\x19"
       "Ethereum Signed Message:\n32",
       message.view()});
}

result<address> recover(const hash32& digest, const signature& s) {
  const std::uint8_t v = s.bytes[64];
  if (v != 27 && v != 28) return fail(ec::bad_request, "signature v value must be 27 or 28");
  if (std::lexicographical_compare(half_order.begin(), half_order.end(), s.bytes.begin() + 32,
                                   s.bytes.begin() + 64)) {
    return fail(ec::bad_request, "signature s value too high");
  }
  secp256k1_ecdsa_recoverable_signature parsed;
  secp256k1_pubkey key;
  if (secp256k1_ecdsa_recoverable_signature_parse_compact(context(), &parsed, s.bytes.data(),
                                                          v - 27) != 1 ||
      secp256k1_ecdsa_recover(context(), &key, &parsed, digest.bytes.data()) != 1) {
    return fail(ec::bad_request, "signature: no key can have made it");
  }
  return address_of(key);
}

result<address> recover_message(const hash32& message, const signature& s) {
  return recover(personal_digest(message), s);
}

private_key private_key::generate() {
  for (;;) {
    hash32 candidate = random_hash();
    auto key = from_bytes(candidate.view());
    OPENSSL_cleanse(candidate.bytes.data(), candidate.bytes.size());
    if (key) return std::move(*key);
  }
}

result<private_key> private_key::from_bytes(std::string_view raw) {
  if (raw.size() != 32) {
    return fail(ec::bad_request, fmt::format("private key: expected 32 bytes, not {}", raw.size()));
  }
  private_key out;
  std::copy(raw.begin(), raw.end(), out.secret_.begin());
  secp256k1_pubkey key;
  if (secp256k1_ec_pubkey_create(context(), &key, out.secret_.data()) != 1) {
    return fail(ec::bad_request, "private key: expected a number from 1 to the curve's order");
  }
  out.address_ = address_of(key);
  return out;
}

result<private_key> private_key::from_hex(std::string_view text) {
  if (text.starts_with("0x")) text.remove_prefix(2);
  auto raw = lp::from_hex(text);
  if (!raw || raw->size() != 32) {
    return fail(ec::bad_request, "private key: expected 64 hexadecimal digits");
  }
  auto key = from_bytes(*raw);
  OPENSSL_cleanse(raw->data(), raw->size());
  return key;
}

private_key::private_key(private_key&& other) noexcept
    : secret_(other.secret_), address_(other.address_) {
  OPENSSL_cleanse(other.secret_.data(), other.secret_.size());
}

private_key& private_key::operator=(private_key&& other) noexcept {
  if (this != &other) {
    secret_ = other.secret_;
    address_ = other.address_;
    OPENSSL_cleanse(other.secret_.data(), other.secret_.size());
  }
  return *this;
}

private_key::~private_key() {
  OPENSSL_cleanse(secret_.data(), secret_.size());
}

private_key private_key::clone() const {
  private_key out;
  out.secret_ = secret_;
  out.address_ = address_;
  return out;
}

std::string_view private_key::secret() const {
  return {reinterpret_cast<const char*>(secret_.data()), secret_.size()};
}

signature private_key::sign(const hash32& digest) const {
  secp256k1_ecdsa_recoverable_signature made;
  signature out;
  int recovery = 0;
  // Fails for an invalid key alone, which from_bytes() rules out; a moved-from key is zero, and
  // then the signature stays zero and verifies nowhere.
  if (secp256k1_ecdsa_sign_recoverable(context(), &made, digest.bytes.data(), secret_.data(),
                                       nullptr, nullptr) == 1) {
    secp256k1_ecdsa_recoverable_signature_serialize_compact(context(), out.bytes.data(), &recovery,
                                                            &made);
    out.bytes[64] = static_cast<std::uint8_t>(27 + recovery);
  }
  return out;
}

signature private_key::sign_message(const hash32& message) const {
  return sign(personal_digest(message));
}

}  // namespace lp::payments
