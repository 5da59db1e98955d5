// SPDX-License-Identifier: MIT
#include "payments/keccak.hpp"

#include <cryptopp/keccak.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>

namespace lp::payments {

hash32 keccak256(std::string_view bytes) {
  return keccak256({bytes});
}

hash32 keccak256(std::initializer_list<std::string_view> parts) {
  CryptoPP::Keccak_256 hasher;
  for (const std::string_view part : parts) {
    hasher.Update(reinterpret_cast<const CryptoPP::byte*>(part.data()), part.size());
  }
  hash32 out;
  hasher.Final(out.bytes.data());
  return out;
}

hash32 hmac_sha256(std::string_view key, std::initializer_list<std::string_view> parts) {
  std::string message;
  for (const std::string_view part : parts) message.append(part);
  hash32 out;
  unsigned length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(message.data()), message.size(), out.bytes.data(),
       &length);
  return out;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

hash32 random_hash() {
  hash32 out;
  std::size_t have = 0;
  while (have < out.bytes.size()) {
    const auto got = ::getrandom(out.bytes.data() + have, out.bytes.size() - have, 0);
    if (got > 0) have += static_cast<std::size_t>(got);
  }
  return out;
}

}  // namespace lp::payments
