// SPDX-License-Identifier: MIT
// The client's end of one TLS connection over a socket that somebody else owns.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::net {

struct tls_options {
  /// PEM file with the authorities that are trusted; empty: those of the system.
  std::string authority;
};

/// Not thread-safe.
class tls_session {
 public:
  /// TLS 1.2 or later with a server whose certificate is valid for `host`, over the connected,
  /// non-blocking `fd`. ec::bad_config for an unreadable authority, ec::unavailable for a failed
  /// handshake (the message says what is wrong with the certificate), ec::deadline_exceeded.
  static result<std::unique_ptr<tls_session>> open(int fd, const std::string& host,
                                                   const tls_options& options, time_point deadline);
  ~tls_session();
  tls_session(const tls_session&) = delete;
  tls_session& operator=(const tls_session&) = delete;

  /// Bytes taken of `size`, at least one.
  result<std::size_t> write(const char* data, std::size_t size, time_point deadline);
  /// Bytes read, at most `size`; 0 at the end of the stream.
  result<std::size_t> read(char* data, std::size_t size, time_point deadline);
  /// Tells the server that nothing more comes.
  void finish_sending();

 private:
  struct parts;
  explicit tls_session(std::unique_ptr<parts> p);

  std::unique_ptr<parts> parts_;
};

/// Waits until the socket is ready for `events` (of poll(2)); ec::deadline_exceeded otherwise.
result<void> wait_for(int fd, short events, time_point deadline);

}  // namespace lp::net
