// SPDX-License-Identifier: MIT
// Bytes travel as std::string: the one container that CAF serialises as a block in every version.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace lp {

/// Immutable bytes with shared ownership: copying a handle never copies the payload.
using shared_bytes = std::shared_ptr<const std::string>;

inline shared_bytes share(std::string bytes) {
  return std::make_shared<const std::string>(std::move(bytes));
}

/// Lower-case hexadecimal, without a prefix.
std::string to_hex(std::string_view bytes);

/// Takes back what to_hex() wrote, in either case; nothing for an odd length or another character.
std::optional<std::string> from_hex(std::string_view digits);

/// Standard alphabet with padding (RFC 4648 section 4), as data URLs need it.
std::string to_base64(std::string_view bytes);

/// `count` random bytes from the operating system as hexadecimal; for identifiers that must not be
/// guessed. `count` counts bytes, the text has twice as many digits.
std::string random_hex(std::size_t count);

/// True for well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

/// Characters of well-formed UTF-8, as Unicode counts them (code points): what limits of texts
/// mean.
std::size_t count_characters(std::string_view text);

/// "1.5 GiB", "12 B": binary units with at most one decimal.
std::string human_bytes(std::uint64_t count);

}  // namespace lp
