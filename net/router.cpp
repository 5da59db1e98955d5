// SPDX-License-Identifier: MIT
#include "net/router.hpp"

#include <fmt/format.h>

#include "net/http_errors.hpp"

namespace lp::net {

namespace {

// What Allow lists: HEAD comes with GET.
std::string allowed(const std::map<std::string, handler, std::less<>>& methods) {
  std::string out;
  for (const auto& [method, h] : methods) {
    if (!out.empty()) out += ", ";
    out += method == "GET" ? "GET, HEAD" : method;
  }
  return out;
}

}  // namespace

void router::add(std::string method, std::string path, handler h) {
  exact_[std::move(path)][std::move(method)] = std::move(h);
}

void router::add_prefix(std::string method, std::string prefix, handler h) {
  prefixes_[std::move(prefix)][std::move(method)] = std::move(h);
}

const router::methods* router::find(std::string_view path) const {
  if (const auto found = exact_.find(path); found != exact_.end()) return &found->second;
  // Among the prefixes of a path, the longest sorts last.
  for (auto it = prefixes_.upper_bound(path); it != prefixes_.begin();) {
    --it;
    if (path.starts_with(it->first)) return &it->second;
  }
  return nullptr;
}

router::methods::const_iterator router::find(const methods& known, const request& head) {
  return known.find(head.method == "HEAD" ? "GET" : std::string_view(head.method));
}

std::optional<response> router::check(const request& head) const {
  const bool asks = head.method == "OPTIONS";
  const methods* known = find(head.path);
  if (known == nullptr && !(asks && head.path == "*")) {
    return error_response({ec::not_found, fmt::format("no route {}", head.path), {}});
  }
  if (known != nullptr && find(*known, head) != known->end()) return std::nullopt;
  const std::string allow = (known == nullptr ? "GET, HEAD, POST" : allowed(*known)) + ", OPTIONS";
  response out;
  out.status = 204;
  if (!asks) {
    out = error_response({ec::method_not_allowed,
                          fmt::format("{} takes {}, not {}", head.path, allow, head.method),
                          {}});
  }
  out.headers.push_back({"Allow", allow});
  return out;
}

void router::operator()(request&& r, responder reply) const {
  if (auto answer = check(r)) {
    reply.send(std::move(*answer));
    return;
  }
  find(*find(r.path), r)->second(std::move(r), std::move(reply));
}

}  // namespace lp::net
