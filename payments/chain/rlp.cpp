// SPDX-License-Identifier: MIT
#include "payments/chain/rlp.hpp"

namespace lp::payments::rlp {

namespace {

// Up to 55 bytes the length is in the first byte; above, that byte counts the length's own bytes.
std::string prefix(unsigned char base, std::size_t length) {
  if (length <= 55) return std::string(1, static_cast<char>(base + length));
  const std::string digits = to_minimal_bytes(u256(length));
  return std::string(1, static_cast<char>(base + 55 + digits.size())) + digits;
}

}  // namespace

std::string of_bytes(std::string_view bytes) {
  if (bytes.size() == 1 && static_cast<unsigned char>(bytes[0]) < 0x80) return std::string(bytes);
  return prefix(0x80, bytes.size()).append(bytes);
}

std::string of_number(const u256& value) {
  return of_bytes(to_minimal_bytes(value));
}

std::string of_list(const std::vector<std::string>& items) {
  std::string body;
  for (const std::string& item : items) body += item;
  return prefix(0xc0, body.size()) + body;
}

}  // namespace lp::payments::rlp
