// SPDX-License-Identifier: MIT
#include "net/hub_request.hpp"

#include <charconv>

#include <fmt/format.h>

namespace lp::net {

namespace {

constexpr int most_redirections = 5;

std::string origin(const url& u) {
  return fmt::format("{}://{}:{}", u.tls ? "https" : "http", u.host, u.port);
}

std::string text_of(const http_reply& reply, std::string_view name) {
  const std::string* found = find_header(reply.headers, name);
  return found == nullptr ? std::string() : *found;
}

// Retry-After in seconds; a date, the other form, counts as not given.
milliseconds asked_pause(const http_reply& reply) {
  const std::string text = text_of(reply, "Retry-After");
  unsigned count = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (bad != std::errc() || end != text.data() + text.size() || count > 3600) return {};
  return seconds(count);
}

hub_failure refusal(const url& where, const http_reply& reply) {
  const std::string reason = text_of(reply, "X-Error-Message");
  const std::string told =
      fmt::format("{}{}: {}{}{}", origin(where), where.target.substr(0, where.target.find('?')),
                  reply.status, reason.empty() ? "" : ", ", reason);
  switch (reply.status) {
    case 401:
    case 403:
      return {{ec::unauthorized, told + ": a token that may read it is needed", {}}, false, {}};
    case 404:
      return {{ec::not_found, told, {}}, false, {}};
    case 416:
      return {{ec::bad_file, told + ": the file is shorter than its list says", {}}, false, {}};
    default:
      break;
  }
  const bool again = reply.status == 408 || reply.status == 429 || reply.status >= 500;
  return {{ec::unavailable, told, {}}, again, asked_pause(reply)};
}

// Location may be a whole address or a path.
result<url> redirected(const url& from, const std::string& location) {
  return parse_url(location.starts_with('/') && !location.starts_with("//")
                       ? origin(from) + location
                       : location);
}

}  // namespace

attempt<http_client*> hub_connection::connect(const url& where, time_point deadline) {
  const std::string key = origin(where);
  if (const auto it = open_.find(key); it != open_.end()) return &it->second;
  auto client = where.tls ? http_client::connect_tls(where.host, where.port, options_.tls, deadline)
                          : http_client::connect(where.host, where.port, deadline);
  if (!client) {
    const bool again = client.error().code != ec::bad_config;
    return tl::unexpected<hub_failure>({std::move(client.error()), again, {}});
  }
  return &open_.emplace(key, std::move(*client)).first->second;
}

attempt<http_reply> hub_connection::get(const url& where, const std::string& range,
                                        time_point deadline) {
  url at = where;
  for (int i = 0; i <= most_redirections; ++i) {
    const auto client = connect(at, deadline);
    if (!client) return tl::unexpected<hub_failure>(client.error());
    std::vector<header> headers{{"User-Agent", "lp-runtime"}, {"Accept-Encoding", "identity"}};
    if (!range.empty()) headers.push_back({"Range", range});
    const bool own = origin(at) == origin(where);
    if (own && !options_.token.empty()) {
      headers.push_back({"Authorization", "Bearer " + options_.token});
    }
    auto reply = (*client)->send("GET", at.target, {}, headers, deadline);
    const bool closes = !reply || text_of(*reply, "Connection") == "close";
    if (closes) open_.erase(origin(at));
    if (!reply) return tl::unexpected<hub_failure>({std::move(reply.error()), true, {}});
    if (reply->status == 200 || reply->status == 206) return std::move(*reply);
    const std::string location = text_of(*reply, "Location");
    if (reply->status < 300 || reply->status > 399 || location.empty()) {
      return tl::unexpected<hub_failure>(refusal(at, *reply));
    }
    auto next = redirected(at, location);
    if (!next) return tl::unexpected<hub_failure>({std::move(next.error()), false, {}});
    at = std::move(*next);
  }
  return tl::unexpected<hub_failure>(
      {{ec::unavailable, fmt::format("{}: too many redirections", origin(where)), {}}, false, {}});
}

result<url> hub_url(const hub_options& options, const std::string& path) {
  std::string base = options.endpoint;
  while (base.ends_with('/')) base.pop_back();
  return parse_url(base + path);
}

std::string encode_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool plain = letter || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/@").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace lp::net
