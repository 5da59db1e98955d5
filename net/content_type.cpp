// SPDX-License-Identifier: MIT
#include "net/content_type.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace lp::net {

namespace {

// Takes a quoted string, whose opening quote has been taken already, off `rest`. A backslash counts
// only before a quote or another one: some clients send paths with bare backslashes as file names.
result<std::string> take_quoted(std::string_view& rest) {
  std::string out;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] == '"') {
      rest.remove_prefix(i + 1);
      return out;
    }
    const bool escaped =
        rest[i] == '\\' && i + 1 < rest.size() && (rest[i + 1] == '"' || rest[i + 1] == '\\');
    if (escaped) ++i;
    out += rest[i];
  }
  return fail(ec::bad_request, "a quoted string does not end");
}

std::string take_token(std::string_view& rest) {
  const std::size_t end = std::min(rest.find(';'), rest.size());
  std::string out(trim_blanks(rest.substr(0, end)));
  rest.remove_prefix(end);
  return out;
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

result<parametered> parse_parametered(std::string_view text) {
  parametered out;
  out.value = lower_case(take_token(text));
  while (!text.empty()) {
    text.remove_prefix(1);  // the semicolon
    text = trim_blanks(text);
    if (text.empty()) break;
    const std::size_t equals = text.find_first_of("=;");
    if (equals == std::string_view::npos || text[equals] != '=') {
      return fail(ec::bad_request, fmt::format("the parameter \"{}\" has no value",
                                               trim_blanks(text.substr(0, text.find(';')))));
    }
    header parameter{lower_case(trim_blanks(text.substr(0, equals))), {}};
    text = trim_blanks(text.substr(equals + 1));
    if (text.starts_with('"')) {
      text.remove_prefix(1);
      auto quoted = take_quoted(text);
      if (!quoted) return fail(std::move(quoted.error()));
      parameter.value = std::move(*quoted);
      if (!take_token(text).empty()) {
        return fail(ec::bad_request,
                    fmt::format("the parameter \"{}\" goes on behind its quotes", parameter.name));
      }
    } else {
      parameter.value = take_token(text);
    }
    out.parameters.push_back(std::move(parameter));
  }
  return out;
}

}  // namespace lp::net
