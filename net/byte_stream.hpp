// SPDX-License-Identifier: MIT
// Connections that carry bytes both ways, plain or over TLS, on an event loop. Sockets are
// registered once; a write goes out at once and is awaited only where the kernel's buffer is full.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/event_loop.hpp"
#include "net/tls.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::net {

/// Bounds of a stream.
struct stream_options {
  tls_context tls;  ///< null: plain
  /// For connecting, for the TLS handshake, and from then to the first byte of the other side.
  milliseconds opening_timeout{3'000};
  milliseconds closing_timeout{2'000};  ///< for what is still to be sent when closing
  std::size_t openings = 64;  ///< TLS handshakes of a listener at one time; the oldest gives way
};

/// One connection. start() may be called from any thread, everything else on the loop's.
class byte_stream {
 public:
  /// Called on the loop's thread, never from within a call of the stream's.
  class observer {
   public:
    virtual ~observer() = default;
    virtual void on_open() = 0;  ///< may be written to from now on
    virtual void on_received(std::string_view bytes) = 0;
    virtual void on_drained() = 0;                       ///< write() takes bytes again
    virtual void on_closed(const std::string& why) = 0;  ///< by the other side or by a failure
  };

  virtual ~byte_stream() = default;

  /// Begins to connect, or to read. The stream holds the observer until close() or on_closed().
  virtual void start(std::shared_ptr<observer> o) = 0;

  /// Takes all of `bytes` and leaves it empty; false if an earlier write is under way or the
  /// stream is not open yet, and `bytes` stays as it is.
  virtual bool write(std::vector<char>& bytes) = 0;

  /// Stops and resumes reading.
  virtual void read(bool wanted) = 0;

  /// Sends what is under way and then `last`, and closes; the observer hears no more.
  virtual void close(std::vector<char> last) = 0;

  /// The other side's address, "" and 0 where there is none.
  virtual std::string address() const = 0;
  virtual std::uint16_t port() const = 0;
};

/// A stream that connects to `host`, a name or an address, once it is started. Without TLS it goes
/// no farther than this host.
std::shared_ptr<byte_stream> make_stream(event_loop& loop, const std::string& host,
                                         std::uint16_t port, const stream_options& options);

/// Accepts connections. start() and stop() are called on the loop's thread.
class byte_listener {
 public:
  virtual ~byte_listener() = default;

  /// `accepted` gets each stream that is open: with TLS, whose other side showed its certificate.
  virtual void start(std::function<void(std::shared_ptr<byte_stream>)> accepted) = 0;
  virtual void stop() = 0;

  virtual std::string address() const = 0;
  virtual std::uint16_t port() const = 0;
};

/// Listens at once; port 0 takes any free one. ec::bad_config with the system's reason.
result<std::shared_ptr<byte_listener>> listen(event_loop& loop, const std::string& host,
                                              std::uint16_t port, const stream_options& options);

}  // namespace lp::net
