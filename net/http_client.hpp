// SPDX-License-Identifier: MIT
// A small blocking client for tools and tests. Every call has a deadline.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_message.hpp"
#include "net/tls_session.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::net {

struct http_reply {
  unsigned status = 0;
  std::vector<header> headers;
  std::string body;
};

/// One connection, used for any number of requests, one after the other. Not thread-safe.
class http_client {
 public:
  /// ec::unavailable if nobody answers there by `deadline`.
  static result<http_client> connect(const std::string& host, std::uint16_t port,
                                     time_point deadline);

  /// The same over TLS, with a server whose certificate is valid for `host`. Errors also as
  /// tls_session::open() has them.
  static result<http_client> connect_tls(const std::string& host, std::uint16_t port,
                                         const tls_options& options, time_point deadline);

  http_client(http_client&& other) noexcept;
  http_client& operator=(http_client&& other) noexcept;
  ~http_client();

  /// Sends a request and reads the whole answer, of at most 256 MiB. Host and Content-Length are
  /// added. ec::unavailable if the connection breaks, ec::deadline_exceeded at the deadline,
  /// ec::bad_request for an answer that is not HTTP.
  result<http_reply> send(std::string_view method, std::string_view target, std::string_view body,
                          const std::vector<header>& headers, time_point deadline);
  result<http_reply> get(std::string_view target, time_point deadline);
  result<http_reply> post_json(std::string_view target, std::string_view json, time_point deadline);

  /// Parts of send(), for requests that send() would not write.
  result<void> write(std::string_view bytes, time_point deadline);
  result<http_reply> read_reply(time_point deadline, bool to_head = false);

  /// Closes the sending half.
  void finish_sending();

  /// True if the server closes without another byte by `deadline`.
  bool closed_by_server(time_point deadline);

 private:
  http_client(int fd, std::string host) : fd_(fd), host_(std::move(host)) {}

  result<std::size_t> read_some(time_point deadline);
  result<std::size_t> receive(char* data, std::size_t size, time_point deadline);
  result<std::size_t> transmit(std::string_view bytes, time_point deadline);

  int fd_ = -1;
  std::unique_ptr<tls_session> tls_;  // null: plain
  std::string host_;                  // for the Host header, with the port
  std::string unread_;                // bytes after the last reply
};

/// One request on a connection of its own. `url` is "http://HOST:PORT/TARGET".
result<http_reply> http_get(const std::string& url, time_point deadline);

}  // namespace lp::net
