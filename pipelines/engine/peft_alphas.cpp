// SPDX-License-Identifier: MIT
#include "pipelines/engine/peft_alphas.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include <regex.h>

#include <fmt/format.h>
#include <boost/json/value.hpp>

namespace lp::engine {

namespace {

namespace json = boost::json;

/// Patterns are a stranger's: so many, and so long.
constexpr std::size_t most_patterns = 4096;
constexpr std::size_t most_expressions = 64;
constexpr std::size_t longest_pattern = 256;

bool is_expression(std::string_view pattern) {
  return pattern.find_first_of("\\*+?[](){}|^$") != pattern.npos;
}

/// Python's \d and \. in words of POSIX, which has no backtracking that could take for ever.
std::string as_posix(std::string_view pattern) {
  std::string out = "^(.*\\.)?(";
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const bool digits = pattern.substr(i, 2) == "\\d";
    if (digits) {
      out += "[0-9]";
      ++i;
    } else if (pattern.substr(i, 3) == "(?:") {
      out += '(';
      i += 2;
    } else if (pattern[i] != '^' && pattern[i] != '$') {
      out += pattern[i];
    }
  }
  return out + ")$";
}

class expression {
 public:
  explicit expression(const std::string& pattern)
      : good_(::regcomp(&compiled_, as_posix(pattern).c_str(), REG_EXTENDED | REG_NOSUB) == 0) {}
  ~expression() {
    if (good_) ::regfree(&compiled_);
  }
  expression(const expression&) = delete;
  expression& operator=(const expression&) = delete;

  bool good() const { return good_; }
  bool matches(const std::string& text) const {
    return good_ && ::regexec(&compiled_, text.c_str(), 0, nullptr, 0) == 0;
  }

 private:
  regex_t compiled_{};
  bool good_;
};

/// Repetitions by number would let a short pattern grow without bound, references back search.
bool is_safe(std::string_view pattern) {
  if (pattern.find('{') != pattern.npos) return false;
  for (std::size_t i = 0; i + 1 < pattern.size(); ++i) {
    if (pattern[i] == '\\' && pattern[i + 1] >= '1' && pattern[i + 1] <= '9') return false;
  }
  return true;
}

bool ends_at_dot(std::string_view module, std::string_view end) {
  return module.ends_with(end) &&
         (module.size() == end.size() || module[module.size() - end.size() - 1] == '.');
}

result<std::optional<double>> number(const json::object& noted, const std::string& key,
                                     const std::string& where, bool positive) {
  const auto* value = noted.if_contains(key);
  if (value == nullptr || value->is_null()) return std::optional<double>();
  const double n = value->is_number() ? value->to_number<double>() : std::nan("");
  if (std::isfinite(n) && (!positive || n > 0)) return std::optional(n);
  return fail(ec::bad_file, fmt::format("{}: {}: expected a finite number", where, key));
}

}  // namespace

result<peft_alphas::patterns> peft_alphas::read_patterns(const json::value& value,
                                                         const std::string& what) {
  patterns out;
  const auto* object = value.if_object();
  if (object == nullptr && !value.is_null())
    return fail(ec::bad_file, fmt::format("{}: expected an object", what));
  if (object == nullptr) return out;
  std::size_t expressions = 0;
  for (const auto& [key, number] : *object) {
    const double n = number.is_number() ? number.to_number<double>() : std::nan("");
    if (!std::isfinite(n))
      return fail(ec::bad_file,
                  fmt::format("{}: {}: expected a finite number", what, std::string_view(key)));
    const std::string pattern(key);
    const bool searches = is_expression(pattern);
    if (searches) ++expressions;
    const bool good = pattern.size() <= longest_pattern &&
                      (!searches || (is_safe(pattern) && expression(pattern).good()));
    if (!good || expressions > most_expressions || out.size() >= most_patterns)
      return fail(ec::bad_file,
                  fmt::format("{}: \"{}\": expected names of modules, at most {}, of them at most "
                              "{} simple regular expressions",
                              what, pattern.substr(0, 80), most_patterns, most_expressions));
    out.emplace_back(pattern, n);
  }
  return out;
}

result<peft_alphas::config> peft_alphas::read_config(const json::object& noted,
                                                     const std::string& prefix,
                                                     const std::string& where) {
  config out;
  const auto alpha = number(noted, prefix + "lora_alpha", where, false);
  const auto other = number(noted, prefix + "alpha", where, false);  // LoHa and LoKr
  const auto rank = number(noted, prefix + "r", where, true);
  for (const auto* read : {&alpha, &other, &rank})
    if (!*read) return fail(read->error());
  out.alpha = *alpha ? *alpha : *other;
  out.rank = *rank;
  if (const auto* root = noted.if_contains(prefix + "use_rslora"); root != nullptr)
    out.root_of_rank = root->is_bool() && root->get_bool();
  for (auto [key, into] : {std::pair{"alpha_pattern", &out.alphas}, {"rank_pattern", &out.ranks}}) {
    const auto* value = noted.if_contains(prefix + key);
    if (value == nullptr) continue;
    auto read = read_patterns(*value, fmt::format("{}: {}{}", where, prefix, key));
    if (!read) return fail(read.error());
    *into = std::move(*read);
  }
  return out;
}

result<peft_alphas> peft_alphas::read(const json::object& noted, const std::string& where) {
  peft_alphas out;
  for (const auto* network : {"", "unet", "text_encoder", "text_encoder_2"}) {
    const std::string prefix = *network == '\0' ? "" : std::string(network) + ".";
    if (!noted.contains(prefix + "r") && !noted.contains(prefix + "lora_alpha")) continue;
    auto config = read_config(noted, prefix, where);
    if (!config) return fail(config.error());
    out.configs_[network] = std::move(*config);
  }
  return out;
}

const peft_alphas::config* peft_alphas::of(const std::string& network) const {
  auto found = configs_.find(network);
  if (found == configs_.end()) found = configs_.find("");
  return found == configs_.end() ? nullptr : &found->second;
}

std::optional<double> peft_alphas::matching(const patterns& all, const std::string& module) {
  for (const auto& [pattern, value] : all) {
    const bool fits =
        is_expression(pattern) ? expression(pattern).matches(module) : ends_at_dot(module, pattern);
    if (fits) return value;
  }
  return std::nullopt;
}

std::optional<double> peft_alphas::scale(const std::string& network, const std::string& module,
                                         std::int64_t rank) const {
  const auto* c = of(network);
  if (c == nullptr || rank < 1) return std::nullopt;
  auto alpha = matching(c->alphas, module);
  if (!alpha) alpha = c->alpha;
  if (!alpha) return std::nullopt;
  const auto r = static_cast<double>(rank);
  return *alpha / (c->root_of_rank ? std::sqrt(r) : r);
}

std::optional<std::int64_t> peft_alphas::rank(const std::string& network,
                                              const std::string& module) const {
  const auto* c = of(network);
  if (c == nullptr) return std::nullopt;
  auto rank = matching(c->ranks, module);
  if (!rank) rank = c->rank;
  if (!rank || !(*rank >= 1) || *rank > 1e6) return std::nullopt;
  return static_cast<std::int64_t>(*rank);
}

}  // namespace lp::engine
