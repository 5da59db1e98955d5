// SPDX-License-Identifier: MIT
// What CLIP's tokenizer does to text before byte-pair encoding.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace lp::engine {

/// The text as CLIP's tokenizer wants it: Unicode normal form C, every run of white space one
/// space, lower case. Bytes that are no UTF-8 become U+FFFD.
std::string clip_normalize(std::string_view text);

/// Normalised text cut into words: English contractions ('s 't 're 've 'm 'll 'd), runs of letters,
/// single digits, runs of anything else that is no white space. The views point into `text`.
std::vector<std::string_view> clip_words(std::string_view text);

/// GPT-2's way to show bytes as printable characters: entry b is the UTF-8 text of byte b. The
/// printable bytes stand for themselves, the others take U+0100 and up in order.
const std::array<std::string, 256>& byte_symbols();

/// The bytes in the order in which CLIP's vocabulary numbers their symbols: the printable first.
const std::array<unsigned char, 256>& byte_order();

}  // namespace lp::engine
