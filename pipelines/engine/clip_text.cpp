// SPDX-License-Identifier: MIT
#include "pipelines/engine/clip_text.hpp"

#include <algorithm>
#include <cstdint>

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

namespace lp::engine {
namespace {

enum class kind { space, letter, number, other };

kind kind_of(UChar32 c) {
  if (u_isUWhiteSpace(c) != 0) return kind::space;
  const std::uint32_t category = U_GET_GC_MASK(c);
  if ((category & U_GC_L_MASK) != 0) return kind::letter;
  return (category & U_GC_N_MASK) != 0 ? kind::number : kind::other;
}

/// The text in normal form C; the input itself if that fails, which it does only without memory.
icu::UnicodeString compose(std::string_view text) {
  auto source = icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())));
  UErrorCode status = U_ZERO_ERROR;
  const auto* form = icu::Normalizer2::getNFCInstance(status);
  if (U_FAILURE(status)) return source;
  auto composed = form->normalize(source, status);
  return U_FAILURE(status) ? source : composed;
}

/// Length of the contraction that `text` begins with, or 0.
std::size_t contraction(std::string_view text) {
  for (const std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.starts_with(ending)) return ending.size();
  }
  return 0;
}

/// Reads the character at `at` and moves behind it.
kind next_kind(std::string_view text, std::int32_t& at) {
  UChar32 c = 0;
  U8_NEXT_OR_FFFD(text.data(), at, static_cast<std::int32_t>(text.size()), c);
  return kind_of(c);
}

/// The end of the word that begins at `begin`, which is no white space.
std::int32_t word_end(std::string_view text, std::int32_t begin) {
  if (const std::size_t length = contraction(text.substr(static_cast<std::size_t>(begin)))) {
    return begin + static_cast<std::int32_t>(length);
  }
  std::int32_t end = begin;
  const kind first = next_kind(text, end);
  if (first == kind::number) return end;
  const auto size = static_cast<std::int32_t>(text.size());
  for (std::int32_t next = end; next < size && next_kind(text, next) == first;) end = next;
  return end;
}

bool is_printable(unsigned b) {
  return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
}

}  // namespace

std::string clip_normalize(std::string_view text) {
  const icu::UnicodeString source = compose(text);
  icu::UnicodeString out;
  bool in_space = false;
  for (std::int32_t i = 0; i < source.length(); i = source.moveIndex32(i, 1)) {
    const UChar32 c = source.char32At(i);
    const bool space = u_isUWhiteSpace(c) != 0;
    if (space && in_space) continue;
    in_space = space;
    out.append(space ? UChar32{' '} : u_tolower(c));
    // The one character whose lower case is two (SpecialCasing.txt): I with a dot above.
    if (c == 0x130) out.append(UChar32{0x307});
  }
  std::string utf8;
  return out.toUTF8String(utf8);
}

std::vector<std::string_view> clip_words(std::string_view text) {
  std::vector<std::string_view> words;
  const auto size = static_cast<std::int32_t>(text.size());
  for (std::int32_t at = 0; at < size;) {
    std::int32_t end = at;
    if (next_kind(text, end) != kind::space) {
      end = word_end(text, at);
      words.push_back(
          text.substr(static_cast<std::size_t>(at), static_cast<std::size_t>(end - at)));
    }
    at = end;
  }
  return words;
}

const std::array<std::string, 256>& byte_symbols() {
  static const auto symbols = [] {
    std::array<std::string, 256> out;
    UChar32 unprintable = 0x100;
    for (unsigned b = 0; b < 256; ++b) {
      const UChar32 c = is_printable(b) ? static_cast<UChar32>(b) : unprintable++;
      icu::UnicodeString(c).toUTF8String(out[b]);
    }
    return out;
  }();
  return symbols;
}

const std::array<unsigned char, 256>& byte_order() {
  static const auto order = [] {
    std::array<unsigned char, 256> out{};
    for (unsigned b = 0; b < 256; ++b) out[b] = static_cast<unsigned char>(b);
    std::stable_partition(out.begin(), out.end(), is_printable);
    return out;
  }();
  return order;
}

}  // namespace lp::engine
