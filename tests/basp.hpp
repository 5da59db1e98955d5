// SPDX-License-Identifier: MIT
// Frames of BASP made by hand, good and bad ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/endian/conversion.hpp>

namespace lp::testing::basp {

constexpr std::uint64_t async_message = 1ULL << 60U;

inline std::string number(std::uint64_t value) {
  unsigned char bytes[8];
  boost::endian::store_big_u64(bytes, value);
  return {reinterpret_cast<const char*>(bytes), sizeof bytes};
}

/// CAF's sizes: seven bits a byte.
inline std::string size(std::size_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7U) out.push_back(static_cast<char>(value % 0x80 | 0x80U));
  out.push_back(static_cast<char>(value));
  return out;
}

inline std::string text(std::string_view value) {
  return size(value.size()) + std::string(value);
}

/// The id of a node that is no real one; `fill` tells it from others.
inline std::string node(char fill) {
  return std::string("\x00\x00\x3e\x9a\xab\x9b\xac\x79\x00\x00\x10\x01", 12) +
         std::string(20, fill);
}

struct head {
  std::uint8_t operation = 0;
  std::uint8_t flags = 0;
  std::uint64_t data = 0;
  std::uint64_t source = 0;
  std::uint64_t destination = 0;
};

inline std::string frame_of_length(const head& h, std::uint32_t length) {
  std::string out{static_cast<char>(h.operation), 0, 0, static_cast<char>(h.flags)};
  unsigned char bytes[4];
  boost::endian::store_big_u32(bytes, length);
  out.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
  return out + number(h.data) + number(h.source) + number(h.destination);
}

inline std::string frame(const head& h, const std::string& body) {
  return frame_of_length(h, static_cast<std::uint32_t>(body.size())) + body;
}

inline std::string server_handshake(const std::string& node_id,
                                    std::string_view application = "lp-runtime",
                                    std::uint64_t published = 8) {
  return frame({0, 0, 3, 0, 0},
               node_id + size(1) + text(application) + number(published) + size(0));
}

inline std::string client_handshake(const std::string& node_id, std::uint8_t flags = 0) {
  return frame({1, flags, 0, 0, 0}, node_id);
}

/// A message's body; `elements` as CAF writes them.
inline std::string message(std::string_view types, const std::string& elements) {
  return size(0) + std::string(2, '\0') + text(types) + elements;
}

}  // namespace lp::testing::basp
