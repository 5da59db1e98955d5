// SPDX-License-Identifier: MIT
#include "net/http_head.hpp"

#include <ctime>
#include <iterator>

#include <fmt/format.h>

#include "net/http_errors.hpp"

namespace lp::net {

namespace {

// "Sun, 22 Nov 2026 15:00:00 GMT", made once a second and thread.
std::string_view http_date() {
  thread_local std::time_t made_at = 0;
  thread_local char text[40];
  thread_local std::size_t size = 0;
  const std::time_t now = std::time(nullptr);
  if (now != made_at) {
    made_at = now;
    std::tm utc{};
    gmtime_r(&now, &utc);
    size = std::strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &utc);
  }
  return {text, size};
}

void append(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  for (const char c : value) out.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  out.append("\r\n");
}

}  // namespace

bool may_have_body(unsigned status) {
  return status >= 200 && status != 204 && status != 304;
}

void write_head(std::string& out, const response& r, std::string_view request_id, bool keep_alive) {
  out.clear();
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", r.status, reason_phrase(r.status));
  for (const header& h : r.headers) append(out, h.name, h.value);
  if (may_have_body(r.status)) {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", r.count);
  }
  append(out, "Date", http_date());
  if (!request_id.empty()) append(out, "X-Request-Id", request_id);
  append(out, "Connection", keep_alive ? "keep-alive" : "close");
  out.append("\r\n");
}

}  // namespace lp::net
