// SPDX-License-Identifier: MIT
// HTTP/1.1 server: keep-alive, pipelining (one request of a connection at a time, in order),
// chunked bodies, Expect: 100-continue. Every wait on a client has a deadline and every buffer a
// bound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/http_message.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::net {

class event_loop;

/// Looks at a request whose body has not been read yet. What it returns is the answer, and the body
/// is not read; otherwise the request goes on to the handler. Called on a thread of the server.
using head_check = std::function<std::optional<response>(const request& head)>;

struct http_options {
  std::string address = "127.0.0.1";          ///< IPv4 or IPv6 address to listen on
  std::uint16_t port = 0;                     ///< 0: any free one, see http_server::port()
  unsigned threads = 1;                       ///< of its own, without a loop
  std::size_t header_limit = 16 * 1024;       ///< bytes of request line and headers; over it 431
  std::size_t body_limit = 16 * 1024 * 1024;  ///< bytes; over it 413 without reading it all
  /// Of all bodies under way together, from their first byte until whoever keeps them lets go; over
  /// it 503. Bodies up to small_body (net/body_budget.hpp) do not count.
  std::size_t bodies_limit = 256 * 1024 * 1024;
  /// Over it the connection that waited longest for its client gives way, an idle one before all;
  /// where all are busy the new one is answered 503.
  std::size_t max_connections = 1024;
  /// The same for the connections of one client: an IPv4 address, or 64 bits of an IPv6 one. 0: no
  /// such limit.
  std::size_t max_connections_per_address = 0;
  milliseconds idle_timeout{60'000};      ///< between requests; closes silently
  milliseconds header_timeout{10'000};    ///< first to last byte of a header; over it 408
  milliseconds body_timeout{60'000};      ///< whole body; over it 408
  milliseconds write_timeout{60'000};     ///< whole answer; closes
  milliseconds answer_timeout{900'000};   ///< for the handler's answer; over it 503
  std::vector<std::string> cors_origins;  ///< as cors_policy takes them
  head_check check_head;                  ///< none: every request is read
};

struct http_counters {
  std::size_t connections = 0;  ///< open now
  std::uint64_t requests = 0;   ///< handed to the handler so far
  std::uint64_t refused = 0;    ///< answered by the server itself: malformed, too large, too many
};

class http_server {
 public:
  /// Listens and serves on its own threads, or on `loop`, which must run until stop() is over.
  /// ec::bad_config if the address cannot be used; the message names it and the system's reason.
  static result<std::unique_ptr<http_server>> start(const http_options& options, handler h,
                                                    event_loop* loop = nullptr);

  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;
  ~http_server();  ///< stop()

  std::uint16_t port() const;
  http_counters counters() const;

  /// Takes no new connections; those open go on.
  void stop_accepting();

  /// stop_accepting(), closes idle connections, lets requests under way be answered and closes
  /// after each. Blocks until none is left (true) or until `deadline`; then what is still under way
  /// is answered 503, for which there are two more seconds (false). Not to be called from a
  /// handler.
  bool drain(time_point deadline);

  /// Closes everything at once and waits until no callback is left. Responders that are still held
  /// stay valid and do nothing. Not to be called from a handler.
  void stop();

 private:
  class impl;
  explicit http_server(std::shared_ptr<impl> i);
  std::shared_ptr<impl> impl_;
};

}  // namespace lp::net
