// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include <fmt/core.h>
#include <boost/json.hpp>

#include "pipelines/engine/clip_text.hpp"
#include "pipelines/engine/clip_tokenizer.hpp"
#include "runtime/base/files.hpp"

namespace lp::engine {
namespace {

namespace json = boost::json;

constexpr const char* start_token = "<|startoftext|>";
constexpr const char* end_token = "<|endoftext|>";

using symbol_pair = std::pair<std::string, std::string>;

/// A distinct word of the captions, as the symbols it is cut into so far.
struct counted_word {
  std::vector<std::string> symbols;
  std::int64_t count = 0;
};

std::vector<counted_word> count_words(const std::vector<std::string>& captions) {
  std::map<std::string, std::int64_t> counts;
  for (const std::string& caption : captions) {
    const std::string normal = clip_normalize(caption);
    for (const std::string_view word : clip_words(normal)) ++counts[std::string(word)];
  }
  std::vector<counted_word> out;
  for (const auto& [word, count] : counts) {
    counted_word w{{}, count};
    for (const char c : word) w.symbols.push_back(byte_symbols()[static_cast<unsigned char>(c)]);
    w.symbols.back() += "</w>";
    out.push_back(std::move(w));
  }
  return out;
}

/// The most frequent pair of neighbours and its count; the alphabetically first among equals.
std::pair<symbol_pair, std::int64_t> best_pair(const std::vector<counted_word>& words) {
  std::map<symbol_pair, std::int64_t> counts;
  for (const counted_word& w : words) {
    for (std::size_t i = 0; i + 1 < w.symbols.size(); ++i) {
      counts[{w.symbols[i], w.symbols[i + 1]}] += w.count;
    }
  }
  const auto best =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  if (best == counts.end()) return {};
  return *best;
}

void join(std::vector<counted_word>& words, const symbol_pair& pair) {
  for (counted_word& w : words) {
    for (std::size_t i = 0; i + 1 < w.symbols.size(); ++i) {
      if (w.symbols[i] != pair.first || w.symbols[i + 1] != pair.second) continue;
      w.symbols[i] += w.symbols[i + 1];
      w.symbols.erase(std::next(w.symbols.begin(), static_cast<std::ptrdiff_t>(i) + 1));
    }
  }
}

std::string vocabulary_text(const std::vector<symbol_pair>& merges) {
  json::object vocab;
  const auto append = [&](const std::string& token) {
    const auto next = static_cast<std::int64_t>(vocab.size());
    vocab.emplace(token, next);
  };
  for (const char* ending : {"", "</w>"}) {
    for (const unsigned char b : byte_order()) append(byte_symbols()[b] + ending);
  }
  for (const auto& [left, right] : merges) append(left + right);
  append(start_token);
  append(end_token);
  return json::serialize(vocab);
}

std::string config_text(int max_length) {
  return json::serialize(json::object{{"add_prefix_space", false},
                                      {"bos_token", start_token},
                                      {"do_lower_case", true},
                                      {"eos_token", end_token},
                                      {"errors", "replace"},
                                      {"model_max_length", max_length},
                                      {"pad_token", end_token},
                                      {"tokenizer_class", "CLIPTokenizer"},
                                      {"unk_token", end_token}});
}

}  // namespace

result<void> train_clip_tokenizer(const std::vector<std::string>& captions, int merges,
                                  int max_length, const std::filesystem::path& folder) {
  if (merges < 0 || max_length < 3) {
    return fail(ec::invalid_parameters,
                fmt::format("a tokenizer of {} merges and length {}: expected at least 0 and 3",
                            merges, max_length));
  }
  auto words = count_words(captions);
  std::vector<symbol_pair> learnt;
  while (learnt.size() < static_cast<std::size_t>(merges)) {
    auto [pair, count] = best_pair(words);
    if (count < 2) break;
    join(words, pair);
    learnt.push_back(std::move(pair));
  }
  std::string merges_text = "#version: 0.2\n";
  for (const auto& [left, right] : learnt) merges_text += fmt::format("{} {}\n", left, right);
  const std::string map_text = json::serialize(json::object{{"bos_token", start_token},
                                                            {"eos_token", end_token},
                                                            {"pad_token", end_token},
                                                            {"unk_token", end_token}});
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  const std::pair<const char*, std::string> files[] = {
      {"vocab.json", vocabulary_text(learnt)},
      {"merges.txt", merges_text},
      {"tokenizer_config.json", config_text(max_length)},
      {"special_tokens_map.json", map_text}};
  for (const auto& [name, text] : files) {
    if (auto wrote = write_file(folder / name, text); !wrote) return wrote;
  }
  return {};
}

}  // namespace lp::engine
