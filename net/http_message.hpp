// SPDX-License-Identifier: MIT
// What passes between the HTTP server and those who answer requests. No type of the HTTP library
// shows here, so that actors can include it cheaply.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/bytes.hpp"

namespace lp::net {

struct header {
  std::string name;
  std::string value;
};

/// The value of the first header of that name, or null. Names compare without regard to case.
const std::string* find_header(const std::vector<header>& headers, std::string_view name);

/// A whole, well-formed request.
struct request {
  std::string id;      ///< unique in this process's life; sent back as X-Request-Id
  std::string method;  ///< "GET", as sent
  std::string target;  ///< as sent: "/media/a%20b?x=1"
  std::string path;    ///< percent-decoded and UTF-8: "/media/a b"
  std::map<std::string, std::string, std::less<>> query;  ///< decoded; of repeated names the last
  std::vector<header> headers;
  std::shared_ptr<const void> lease;  ///< the body's share of what all bodies may take together
  std::string body;                   ///< decoded, where it came compressed
  std::string remote;                 ///< the client's end of the connection: "127.0.0.1:40312"
  std::string local;                  ///< this end of it: "127.0.0.1:9935"

  /// Empty where the header is absent.
  std::string_view header_value(std::string_view name) const {
    const std::string* found = find_header(headers, name);
    return found ? std::string_view(*found) : std::string_view();
  }
};

/// "http://HOST" as the client addressed this server, for absolute URLs in answers; https where a
/// proxy in front says so with X-Forwarded-Proto. HTTP/1.0 clients may send no Host: r.local then.
std::string origin_of(const request& r);

/// The body, which is moved out of `r` and keeps its lease as long as it lives.
shared_bytes take_body(request&& r);

/// An answer. Content-Length, Date, Connection and X-Request-Id are added by the server.
struct response {
  unsigned status = 200;
  std::vector<header> headers;
  shared_bytes body;  ///< sent without copying; null means empty
  /// The part of `body` that is sent.
  std::size_t first = 0;
  std::size_t count = std::string::npos;
};

response json_response(unsigned status, std::string json);
response text_response(unsigned status, std::string text);

class exchange;

/// The right to answer one request. Copies share it; any thread may use it. When the last copy goes
/// unanswered, the client is told 500.
class responder {
 public:
  responder() = default;
  explicit responder(std::shared_ptr<exchange> e) : exchange_(std::move(e)) {}

  /// Answers. Only the first call counts; false for the others, or when the connection is gone.
  bool send(response r) const;

  /// Calls `gone` once, on a thread of the server, if the client closes the connection before the
  /// answer. At once and on this thread if that has happened already. A later call replaces the
  /// earlier callback. It must not block, and it is released with the answer.
  void on_disconnect(std::function<void()> gone) const;

  /// False once the client is known to have left.
  bool connected() const;

  explicit operator bool() const { return exchange_ != nullptr; }

 private:
  std::shared_ptr<exchange> exchange_;
};

/// Called on a thread of the server for each request; must not block. Exceptions become 500.
using handler = std::function<void(request&&, responder)>;

}  // namespace lp::net
