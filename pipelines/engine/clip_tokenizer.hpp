// SPDX-License-Identifier: MIT
// CLIP's byte-pair encoding: a prompt becomes the numbers that a text encoder takes. No torch here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// A vocabulary with its merge rules. Gives the ids that Hugging Face's CLIPTokenizerFast gives.
/// Immutable; copies share the tables.
class clip_tokenizer {
 public:
  /// Reads vocab.json and merges.txt of a tokenizer folder, and tokenizer_config.json and
  /// special_tokens_map.json where they are there. ec::bad_file names file and defect.
  static result<clip_tokenizer> open(const std::filesystem::path& folder);

  /// The start token, the text cut to what fits, the end token, padding: max_length() ids in all.
  /// Bytes that are no UTF-8 count as U+FFFD.
  std::vector<std::int64_t> encode(std::string_view text) const;

  /// The text alone: no start, no end, no cut, no padding.
  std::vector<std::int64_t> encode_raw(std::string_view text) const;

  /// The same words, padded with that symbol: OpenCLIP's text encoders want '!'.
  clip_tokenizer with_pad(char symbol) const;

  std::size_t max_length() const;
  std::int64_t bos() const;
  std::int64_t eos() const;
  std::int64_t pad() const;
  std::size_t vocab_size() const;

 private:
  struct tables;
  explicit clip_tokenizer(std::shared_ptr<const tables> t) : tables_(std::move(t)) {}
  std::shared_ptr<const tables> tables_;
};

/// Learns at most `merges` merge rules from captions (fewer where no pair of symbols is left that
/// occurs twice) and writes a tokenizer folder that open() and Hugging Face's libraries read:
/// 512 byte symbols, the merges, start and end token. The same input gives the same files.
/// `max_length` is at least 3: start, one token, end.
result<void> train_clip_tokenizer(const std::vector<std::string>& captions, int merges,
                                  int max_length, const std::filesystem::path& folder);

}  // namespace lp::engine
