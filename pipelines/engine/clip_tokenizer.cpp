// SPDX-License-Identifier: MIT
#include "pipelines/engine/clip_tokenizer.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <queue>
#include <unordered_map>
#include <utility>

#include <fmt/core.h>
#include <boost/json.hpp>

#include "pipelines/engine/clip_text.hpp"
#include "pipelines/engine/json_file.hpp"

namespace lp::engine {
namespace {

namespace json = boost::json;
using id = std::int64_t;

constexpr std::size_t clip_length = 77;  // what CLIP was trained with
constexpr std::size_t longest_length = 4096;

struct merge {
  std::uint32_t rank = 0;
  id to = 0;
};

/// Two ids in one key; ids are below 2^31.
std::uint64_t pair_key(id left, id right) {
  return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint64_t>(right);
}

/// Ids by token. The keys point into the parsed file.
using vocabulary = std::unordered_map<std::string_view, id>;
using merge_table = std::unordered_map<std::uint64_t, merge>;

result<vocabulary> index_vocabulary(const json::object& tokens, const std::filesystem::path& path) {
  vocabulary out;
  out.reserve(tokens.size());
  for (const auto& entry : tokens) {
    const std::int64_t* value = entry.value().if_int64();
    if (value == nullptr || *value < 0 || *value > 0x7FFFFFFF) {
      return fail(ec::bad_file,
                  fmt::format("{}: the id of \"{}\" is not an integer from 0 to 2^31 - 1",
                              path.string(), std::string_view(entry.key())));
    }
    out.emplace(entry.key(), *value);
  }
  return out;
}

/// A line of merges.txt: two tokens with a space between. Nothing if the vocabulary lacks one of
/// them or the two joined.
std::optional<std::pair<std::uint64_t, id>> parse_merge(std::string_view line,
                                                        const vocabulary& vocab) {
  const std::size_t gap = line.find(' ');
  if (gap == line.npos) return std::nullopt;
  const std::string_view left = line.substr(0, gap);
  const std::string_view right = line.substr(gap + 1);
  const auto l = vocab.find(left);
  const auto r = vocab.find(right);
  const auto to = vocab.find(std::string(left).append(right));
  if (l == vocab.end() || r == vocab.end() || to == vocab.end()) return std::nullopt;
  return std::pair(pair_key(l->second, r->second), to->second);
}

result<merge_table> read_merges(const std::filesystem::path& path, const vocabulary& vocab) {
  const auto text = read_text_file(path);
  if (!text) return fail(text.error());
  merge_table out;
  out.reserve(vocab.size());
  std::size_t number = 0;
  for (std::size_t at = 0; at < text->size();) {
    const std::size_t end = std::min(text->find('\n', at), text->size());
    std::string_view line(text->data() + at, end - at);
    at = end + 1;
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    const auto rule = parse_merge(line, vocab);
    if (!rule) {
      return fail(ec::bad_file,
                  fmt::format("{}:{}: expected two tokens of vocab.json that join to a third",
                              path.string(), number));
    }
    out.emplace(rule->first, merge{static_cast<std::uint32_t>(out.size()), rule->second});
  }
  return out;
}

/// A token's text: written plainly or as an object with "content".
std::optional<std::string> token_text(const json::object& config, std::string_view key) {
  const json::value* value = config.if_contains(key);
  if (value != nullptr && value->is_object()) value = value->get_object().if_contains("content");
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

/// The file's object, or an empty one if the file is not there.
result<json::object> read_optional(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return json::object{};
  return read_json_file(path);
}

/// What the two configuration files say of special tokens and length.
struct settings {
  std::string bos = "<|startoftext|>";
  std::string eos = "<|endoftext|>";
  std::optional<std::string> unk;
  std::optional<std::string> pad;
  std::size_t max_length = clip_length;
};

void take_tokens(settings& out, const json::object& config) {
  if (auto text = token_text(config, "bos_token")) out.bos = std::move(*text);
  if (auto text = token_text(config, "eos_token")) out.eos = std::move(*text);
  if (auto text = token_text(config, "unk_token")) out.unk = std::move(text);
  if (auto text = token_text(config, "pad_token")) out.pad = std::move(text);
}

result<settings> read_settings(const std::filesystem::path& folder) {
  const auto config = read_optional(folder / "tokenizer_config.json");
  if (!config) return fail(config.error());
  const auto map = read_optional(folder / "special_tokens_map.json");
  if (!map) return fail(map.error());
  settings out;
  take_tokens(out, *config);
  // As Hugging Face does: the map wins (Stable Diffusion 2 pads with "!" by it), except over files
  // new enough to list all added tokens themselves.
  if (!config->contains("added_tokens_decoder")) take_tokens(out, *map);
  // Files without a real limit say 1e30 here.
  const json::value* length = config->if_contains("model_max_length");
  if (length != nullptr && length->is_int64()) {
    if (length->get_int64() < 3 ||
        length->get_int64() > static_cast<std::int64_t>(longest_length)) {
      return fail(ec::bad_file, fmt::format("{}: model_max_length is {}, expected 3 to {}",
                                            (folder / "tokenizer_config.json").string(),
                                            length->get_int64(), longest_length));
    }
    out.max_length = static_cast<std::size_t>(length->get_int64());
  }
  return out;
}

/// Symbols of one word as a linked list, merged lowest rank first, leftmost among equals.
class word_merger {
 public:
  explicit word_merger(const merge_table& merges) : merges_(merges) {}

  void append(id value) {
    const auto last = static_cast<std::int32_t>(symbols_.size()) - 1;
    symbols_.push_back({value, last, -1});
    if (last >= 0) at(last).next = last + 1;
  }

  void run(std::vector<id>& out) {
    for (std::int32_t i = 0; i + 1 < static_cast<std::int32_t>(symbols_.size()); ++i) propose(i);
    while (!queue_.empty()) {
      const candidate c = queue_.top();
      queue_.pop();
      apply(c);
    }
    for (const symbol& s : symbols_) {
      if (s.value >= 0) out.push_back(s.value);
    }
  }

 private:
  struct symbol {
    id value;  ///< -1 once it was merged into its left neighbour
    std::int32_t previous;
    std::int32_t next;
  };
  struct candidate {
    merge rule;
    std::int32_t left;
    std::uint64_t key;  ///< the pair that was seen; the list may have changed since
    bool operator<(const candidate& o) const {
      return std::pair(rule.rank, left) > std::pair(o.rule.rank, o.left);
    }
  };

  symbol& at(std::int32_t i) { return symbols_[static_cast<std::size_t>(i)]; }

  void propose(std::int32_t left) {
    if (left < 0 || at(left).next < 0) return;
    const std::uint64_t key = pair_key(at(left).value, at(at(left).next).value);
    const auto found = merges_.find(key);
    if (found != merges_.end()) queue_.push({found->second, left, key});
  }

  void apply(const candidate& c) {
    symbol& left = at(c.left);
    if (left.value < 0 || left.next < 0) return;
    symbol& right = at(left.next);
    if (pair_key(left.value, right.value) != c.key) return;
    left.value = c.rule.to;
    right.value = -1;
    left.next = right.next;
    if (right.next >= 0) at(right.next).previous = c.left;
    propose(left.previous);
    propose(c.left);
  }

  const merge_table& merges_;
  std::vector<symbol> symbols_;
  std::priority_queue<candidate> queue_;
};

}  // namespace

struct clip_tokenizer::tables {
  merge_table merges;
  std::array<id, 256> inner{};  ///< id of a byte inside a word
  std::array<id, 256> last{};   ///< id of a word's last byte: its symbol with "</w>"
  std::vector<std::pair<std::string, id>> specials;  ///< found in the text as they are
  id bos = 0;
  id eos = 0;
  id pad = 0;
  std::size_t max_length = clip_length;
  std::size_t vocab_size = 0;

  void encode_plain(std::string_view text, std::vector<id>& out) const {
    const std::string normal = clip_normalize(text);
    for (const std::string_view word : clip_words(normal)) {
      word_merger merger(merges);
      for (std::size_t i = 0; i < word.size(); ++i) {
        const auto byte = static_cast<unsigned char>(word[i]);
        merger.append(i + 1 < word.size() ? inner[byte] : last[byte]);
      }
      merger.run(out);
    }
  }
};

result<clip_tokenizer> clip_tokenizer::open(const std::filesystem::path& folder) {
  const auto vocab_path = folder / "vocab.json";
  const auto tokens = read_json_file(vocab_path);
  if (!tokens) return fail(tokens.error());
  const auto vocab = index_vocabulary(*tokens, vocab_path);
  if (!vocab) return fail(vocab.error());
  auto merges = read_merges(folder / "merges.txt", *vocab);
  if (!merges) return fail(std::move(merges.error()));
  const auto config = read_settings(folder);
  if (!config) return fail(config.error());

  auto out = std::make_shared<tables>();
  out->merges = std::move(*merges);
  out->max_length = config->max_length;
  out->vocab_size = vocab->size();
  const std::string pad = config->pad.value_or(config->eos);
  const std::string unk = config->unk.value_or(config->eos);
  std::array<id, 4> ids{};
  const std::array<const std::string*, 4> names = {&config->bos, &config->eos, &pad, &unk};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto found = vocab->find(*names[i]);
    if (found == vocab->end() || found->first.empty()) {
      return fail(ec::bad_file, fmt::format("{}: has no \"{}\", which the tokenizer's "
                                            "configuration names as a special token",
                                            vocab_path.string(), *names[i]));
    }
    ids[i] = found->second;
    out->specials.emplace_back(found->first, found->second);
  }
  out->bos = ids[0], out->eos = ids[1], out->pad = ids[2];
  for (std::size_t b = 0; b < 256; ++b) {
    const auto inner = vocab->find(byte_symbols()[b]);
    const auto last = vocab->find(byte_symbols()[b] + "</w>");
    out->inner[b] = inner == vocab->end() ? ids[3] : inner->second;
    out->last[b] = last == vocab->end() ? ids[3] : last->second;
  }
  return clip_tokenizer(std::move(out));
}

std::vector<std::int64_t> clip_tokenizer::encode_raw(std::string_view text) const {
  const auto& specials = tables_->specials;
  std::vector<id> out;
  std::vector<std::size_t> next(specials.size(), 0);  ///< where each special token comes next
  for (std::size_t at = 0;;) {
    // The leftmost special token; the longest where two begin at one place.
    std::size_t first = 0;
    for (std::size_t i = 0; i < specials.size(); ++i) {
      if (next[i] <= at) next[i] = text.find(specials[i].first, at);
      if (next[i] < next[first] ||
          (next[i] == next[first] && specials[i].first.size() > specials[first].first.size())) {
        first = i;
      }
    }
    const std::size_t begin = next[first];
    tables_->encode_plain(text.substr(at, begin == text.npos ? begin : begin - at), out);
    if (begin == text.npos) return out;
    out.push_back(specials[first].second);
    at = begin + specials[first].first.size();
  }
}

std::vector<std::int64_t> clip_tokenizer::encode(std::string_view text) const {
  std::vector<id> out = encode_raw(text);
  out.resize(std::min(out.size(), tables_->max_length - 2));
  out.insert(out.begin(), tables_->bos);
  out.push_back(tables_->eos);
  out.resize(tables_->max_length, tables_->pad);
  return out;
}

clip_tokenizer clip_tokenizer::with_pad(char symbol) const {
  auto changed = std::make_shared<tables>(*tables_);
  changed->pad = changed->inner[static_cast<unsigned char>(symbol)];
  return clip_tokenizer(std::move(changed));
}

std::size_t clip_tokenizer::max_length() const {
  return tables_->max_length;
}
std::int64_t clip_tokenizer::bos() const {
  return tables_->bos;
}
std::int64_t clip_tokenizer::eos() const {
  return tables_->eos;
}
std::int64_t clip_tokenizer::pad() const {
  return tables_->pad;
}
std::size_t clip_tokenizer::vocab_size() const {
  return tables_->vocab_size;
}

}  // namespace lp::engine
