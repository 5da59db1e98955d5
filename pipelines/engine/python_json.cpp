// SPDX-License-Identifier: MIT
#include "pipelines/engine/python_json.hpp"

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include "pipelines/engine/json_file.hpp"

namespace lp::engine {

namespace {

/// Replaces the words that Python writes for numbers JSON does not have, outside of strings.
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> words = {
    {{"Infinity", "1.7976931348623157e308"}, {"NaN", "null"}}};

/// Replaces the words that JSON does not have, outside of strings.
std::string without_non_finite(std::string_view text) {
  std::string out;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size();) {
    std::string_view next = text.substr(i, quoted && text[i] == '\\' ? 2 : 1);
    std::string_view written = next;
    if (next == "\"") quoted = !quoted;
    for (const auto& [word, number] : words) {
      if (quoted || !text.substr(i).starts_with(word)) continue;
      next = word;
      written = number;
    }
    out += written;
    i += next.size();
  }
  return out;
}

}  // namespace

result<boost::json::object> read_python_json_file(const std::filesystem::path& file) {
  auto text = read_text_file(file);
  if (!text) return fail(text.error());
  auto value = parse_json(without_non_finite(*text), file);
  if (!value) return fail(value.error());
  if (!value->is_object())
    return fail(ec::bad_file, fmt::format("{}: expected a JSON object", file.string()));
  return std::move(value->get_object());
}

}  // namespace lp::engine
