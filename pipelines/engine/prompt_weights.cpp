// SPDX-License-Identifier: MIT
#include "pipelines/engine/prompt_weights.hpp"

#include <charconv>
#include <cmath>

namespace lp::engine {

namespace {

constexpr double heaviest = 10;
constexpr int deepest = 16;

/// The place of the parenthesis that closes the one at `open`, or npos.
std::size_t closing(std::string_view text, std::size_t open) {
  int depth = 0;
  for (auto i = open; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '(') {
      ++depth;
    } else if (text[i] == ')' && --depth == 0) {
      return i;
    }
  }
  return text.npos;
}

/// Reads ":number" at the end of what lies between parentheses; the colon's place, or npos.
std::size_t weight_at_end(std::string_view inner, double& weight) {
  const auto colon = inner.rfind(':');
  if (colon == inner.npos) return colon;
  auto digits = inner.substr(colon + 1);
  while (!digits.empty() && digits.front() == ' ') digits.remove_prefix(1);
  while (!digits.empty() && digits.back() == ' ') digits.remove_suffix(1);
  double value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = read.ec == std::errc() && read.ptr == digits.data() + digits.size();
  if (!whole || !(value >= 0 && value <= heaviest)) return inner.npos;
  weight = value;
  return colon;
}

void add(std::vector<weighted_text>& out, std::string_view text, double weight) {
  if (text.empty()) return;
  if (!out.empty() && out.back().weight == weight) {
    out.back().text += text;
  } else {
    out.push_back({std::string(text), weight});
  }
}

void parse(std::string_view text, double weight, int depth, std::vector<weighted_text>& out) {
  std::size_t start = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      // An escaped parenthesis stands for itself.
      if (i + 1 < text.size() && (text[i + 1] == '(' || text[i + 1] == ')')) {
        add(out, text.substr(start, i - start), weight);
        start = ++i;
      }
      continue;
    }
    if (text[i] != '(' || depth >= deepest) continue;
    const auto close = closing(text, i);
    if (close == text.npos) continue;
    const auto inner = text.substr(i + 1, close - i - 1);
    double factor = 1;
    const auto colon = weight_at_end(inner, factor);
    if (colon == inner.npos) continue;
    add(out, text.substr(start, i - start), weight);
    parse(inner.substr(0, colon), weight * factor, depth + 1, out);
    start = close + 1;
    i = close;
  }
  add(out, text.substr(start), weight);
}

}  // namespace

std::vector<weighted_text> parse_prompt_weights(std::string_view prompt) {
  std::vector<weighted_text> out;
  parse(prompt, 1, 0, out);
  if (out.empty()) out.push_back({});
  return out;
}

}  // namespace lp::engine
