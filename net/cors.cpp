// SPDX-License-Identifier: MIT
#include "net/cors.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "net/content_type.hpp"
#include "net/http_errors.hpp"

namespace lp::net {

namespace {

constexpr std::string_view methods = "GET, HEAD, POST, OPTIONS";
constexpr std::string_view usual_headers = "Authorization, Content-Type";
// Of answers, beside those that pages may always read.
constexpr std::string_view shown_headers = "Retry-After, WWW-Authenticate, X-Request-Id";
// How long browsers may remember the permission; most remember it for two hours at most.
constexpr std::string_view remember = "7200";

bool is_host_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("-._:[]").find(c) != std::string_view::npos;
}

// Names of headers with commas between; it is sent back.
bool is_list(std::string_view text) {
  return !text.empty() && text.size() <= 1024 && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("-_, ").find(c) != std::string_view::npos;
  });
}

}  // namespace

result<std::string> parse_origin(std::string_view text) {
  if (text == "*" || text == "null") return std::string(text);
  const std::string origin = lower_case(text);
  const std::size_t mark = origin.find("://");
  const std::string_view host =
      mark == std::string::npos ? std::string_view() : std::string_view(origin).substr(mark + 3);
  const bool scheme = mark != std::string::npos && mark > 0 &&
                      std::all_of(origin.begin(), origin.begin() + static_cast<long>(mark),
                                  [](char c) { return is_host_char(c) && c != ':'; });
  if (scheme && !host.empty() && std::all_of(host.begin(), host.end(), is_host_char)) return origin;
  return fail(ec::bad_config,
              fmt::format("expected \"*\" or an origin without a path such as "
                          "\"https://app.example\" or \"http://localhost:3000\", not \"{}\"",
                          text));
}

cors_policy::cors_policy(std::vector<std::string> origins) : origins_(std::move(origins)) {
  any_ = std::find(origins_.begin(), origins_.end(), "*") != origins_.end();
}

bool cors_policy::allows(std::string_view origin) const {
  return any_ || std::find(origins_.begin(), origins_.end(), origin) != origins_.end();
}

std::optional<response> cors_policy::preflight(const request& head) const {
  if (!enabled() || head.method != "OPTIONS") return std::nullopt;
  const std::string_view origin = head.header_value("Origin");
  if (origin.empty() || head.header_value("Access-Control-Request-Method").empty()) {
    return std::nullopt;
  }
  if (!allows(origin)) {
    return error_response(
        403, fmt::format("pages of the origin {} may not use this gateway (cors_origins)", origin));
  }
  response out;
  out.status = 204;
  const std::string_view asked = head.header_value("Access-Control-Request-Headers");
  out.headers = {
      {"Access-Control-Allow-Methods", std::string(methods)},
      {"Access-Control-Allow-Headers", std::string(is_list(asked) ? asked : usual_headers)},
      {"Access-Control-Max-Age", std::string(remember)}};
  // Pages of public addresses that ask for private ones.
  if (head.header_value("Access-Control-Request-Private-Network") == "true") {
    out.headers.push_back({"Access-Control-Allow-Private-Network", "true"});
  }
  return out;
}

void cors_policy::add_to(response& r, std::string_view origin) const {
  if (!enabled()) return;
  if (!any_) r.headers.push_back({"Vary", "Origin"});
  if (!any_ && (origin.empty() || !allows(origin))) return;
  r.headers.push_back({"Access-Control-Allow-Origin", any_ ? "*" : std::string(origin)});
  r.headers.push_back({"Access-Control-Expose-Headers", std::string(shown_headers)});
}

}  // namespace lp::net
