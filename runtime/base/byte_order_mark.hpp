// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace lp {

/// `text` without the UTF-8 byte-order mark that some editors put first. JSON must not be written
/// with one, but readers may pass over it (RFC 8259, 8.1).
inline std::string_view without_mark(std::string_view text) {
  constexpr std::string_view mark = "\xEF\xBB\xBF";
  return text.starts_with(mark) ? text.substr(mark.size()) : text;
}

}  // namespace lp
