// SPDX-License-Identifier: MIT
#include <algorithm>

#include "net/content_type.hpp"
#include "net/http_parser.hpp"

namespace lp::net {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// False for a '%' without two hexadecimal digits, for control characters and for bytes that are
// not UTF-8 once decoded.
bool decode(std::string_view text, bool plus_is_space, std::string& out) {
  out.clear();
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return false;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    out.push_back(c);
  }
  const bool control = std::any_of(out.begin(), out.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  return !control && is_utf8(out);
}

bool parse_query(std::string_view text, request& r) {
  std::string name;
  std::string value;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const std::string_view raw =
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    if (!decode(pair.substr(0, equals), true, name) || !decode(raw, true, value)) return false;
    r.query[name] = value;
  }
  return true;
}

// "http://host/path" is how proxies write it; everybody else sends "/path".
std::string without_authority(const std::string& target) {
  const std::string scheme = lower_case(std::string_view(target).substr(0, 8));
  if (!scheme.starts_with("http://") && scheme != "https://") return target;
  const std::size_t end = target.find_first_of("/?#", target.find("://") + 3);
  if (end == std::string::npos) return "/";
  std::string out(target[end] == '/' ? "" : "/");
  return out.append(target, end);
}

}  // namespace

std::optional<refusal> split_target(request& r) {
  if (r.method == "OPTIONS" && r.target == "*") {
    r.path = r.target;
    return std::nullopt;
  }
  const std::string whole = without_authority(r.target);
  const std::string_view target = whole;
  if (!target.starts_with('/')) return refusal{400, "the request target must begin with /"};
  if (target.find('#') != std::string_view::npos) {
    return refusal{400, "the request target must not hold a fragment (#)"};
  }
  const std::size_t mark = target.find('?');
  if (!decode(target.substr(0, mark), false, r.path)) {
    return refusal{400, "the path is not percent-encoded UTF-8 without control characters"};
  }
  if (mark != std::string_view::npos && !parse_query(target.substr(mark + 1), r)) {
    return refusal{400, "the query is not percent-encoded UTF-8 without control characters"};
  }
  return std::nullopt;
}

}  // namespace lp::net
