// SPDX-License-Identifier: MIT
#include "net/http_message.hpp"

#include <algorithm>

namespace lp::net {

namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

const std::string* find_header(const std::vector<header>& headers, std::string_view name) {
  for (const header& h : headers) {
    const bool same = std::equal(h.name.begin(), h.name.end(), name.begin(), name.end(),
                                 [](char a, char b) { return lower(a) == lower(b); });
    if (same) return &h.value;
  }
  return nullptr;
}

std::string origin_of(const request& r) {
  const bool tls = r.header_value("X-Forwarded-Proto") == "https";
  const std::string_view host = r.header_value("Host");
  return std::string(tls ? "https://" : "http://").append(host.empty() ? r.local : host);
}

shared_bytes take_body(request&& r) {
  struct held {
    std::shared_ptr<const void> lease;  // first, so that it goes last
    std::string body;
  };
  const auto h = std::make_shared<const held>(held{std::move(r.lease), std::move(r.body)});
  return {h, &h->body};
}

response json_response(unsigned status, std::string json) {
  response out;
  out.status = status;
  out.headers.push_back({"Content-Type", "application/json"});
  out.body = share(std::move(json));
  return out;
}

response text_response(unsigned status, std::string text) {
  response out;
  out.status = status;
  out.headers.push_back({"Content-Type", "text/plain; charset=utf-8"});
  out.body = share(std::move(text));
  return out;
}

}  // namespace lp::net
