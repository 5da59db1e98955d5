// SPDX-License-Identifier: MIT
#include "net/url.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

#include <fmt/core.h>

namespace lp::net {

namespace {

bool read_port(std::string_view text, std::uint16_t& port) {
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, port);
  return error == std::errc() && end == last && port != 0;
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace

result<url> parse_url(const std::string& text) {
  const auto slashes = text.find("://");
  const std::size_t begin = slashes == std::string::npos ? 0 : slashes + 3;
  const std::size_t path = std::min(text.find_first_of("/?#", begin), text.size());
  const auto wrong = fail(
      ec::bad_config, fmt::format("url \"{}\": expected http://HOST:PORT/PATH or https://HOST/PATH",
                                  text.find('@') < path ? std::string("(with credentials)")
                                                        : text.substr(0, path)));
  url out;
  out.tls = text.starts_with("https://");
  if (!out.tls && !text.starts_with("http://")) return wrong;
  out.port = out.tls ? 443 : 80;
  std::string_view authority = std::string_view(text).substr(begin, path - begin);
  if (!printable(text) || authority.find('@') != std::string_view::npos) return wrong;
  const bool v6 = authority.starts_with('[');
  const auto end = v6 ? authority.find(']') : std::min(authority.find(':'), authority.size());
  if (end == std::string_view::npos || end == (v6 ? 1U : 0U)) return wrong;
  out.host = authority.substr(v6 ? 1 : 0, end - (v6 ? 1 : 0));
  authority.remove_prefix(end + (v6 ? 1 : 0));
  if (!authority.empty() &&
      (authority.front() != ':' || !read_port(authority.substr(1), out.port))) {
    return wrong;
  }
  if (text.find('#', path) != std::string::npos) return wrong;
  const std::string_view target = std::string_view(text).substr(path);
  out.target.clear();
  if (!target.starts_with('/')) out.target.push_back('/');
  out.target.append(target);
  return out;
}

}  // namespace lp::net
