// SPDX-License-Identifier: MIT
// Byte strings of a fixed length, each a type of its own: hashes, addresses, signatures.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include <fmt/core.h>

#include "runtime/base/bytes.hpp"
#include "runtime/base/error.hpp"

namespace lp::payments {

/// N bytes; `Tag` keeps two kinds of the same length apart. Starts as zeros.
template <std::size_t N, class Tag>
struct fixed_bytes {
  static constexpr std::size_t length = N;

  std::array<std::uint8_t, N> bytes{};

  auto operator<=>(const fixed_bytes&) const = default;
  bool operator==(const fixed_bytes&) const = default;

  bool is_zero() const {
    return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
  }
  /// The bytes as they go into a hash or a message; valid as long as this object.
  std::string_view view() const { return {reinterpret_cast<const char*>(bytes.data()), N}; }
  std::string str() const { return std::string(view()); }
  /// Lower-case hexadecimal without a prefix.
  std::string hex() const { return to_hex(view()); }
};

/// 32 bytes: Keccak-256 digests, block hashes, random numbers of tickets.
using hash32 = fixed_bytes<32, struct hash32_tag>;

/// Exactly F::length raw bytes; ec::bad_request, naming `what`, for any other length.
template <class F>
result<F> from_bytes(std::string_view raw, std::string_view what) {
  if (raw.size() != F::length) {
    return fail(ec::bad_request,
                fmt::format("{}: expected {} bytes, not {}", what, F::length, raw.size()));
  }
  F out;
  std::memcpy(out.bytes.data(), raw.data(), raw.size());
  return out;
}

/// Exactly 2 * F::length hexadecimal digits, with or without "0x"; ec::bad_request otherwise.
template <class F>
result<F> from_hex(std::string_view text, std::string_view what) {
  if (text.starts_with("0x")) text.remove_prefix(2);
  if (const auto raw = lp::from_hex(text); raw && raw->size() == F::length) {
    return from_bytes<F>(*raw, what);
  }
  return fail(ec::bad_request, fmt::format("{}: expected {} hexadecimal digits, not \"{}\"", what,
                                           2 * F::length, text.substr(0, 100)));
}

}  // namespace lp::payments

template <std::size_t N, class Tag>
struct std::hash<lp::payments::fixed_bytes<N, Tag>> {
  std::size_t operator()(const lp::payments::fixed_bytes<N, Tag>& value) const noexcept {
    return std::hash<std::string_view>{}(value.view());
  }
};
