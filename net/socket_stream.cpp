// SPDX-License-Identifier: MIT
#include "net/socket_stream.hpp"

#include <cstring>
#include <utility>

#include <unistd.h>

#include <fmt/format.h>
#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include "net/local_twin.hpp"

namespace lp::net {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;

namespace {

// Large enough for a message's head and body in one call, and for a part of a large file in five.
constexpr std::size_t read_size = 64 * 1024;
// A buffer that had to grow beyond this is given back.
constexpr std::size_t kept_size = 1024 * 1024;

// Why there is no connection, and what to look at.
std::string explain(const boost::system::error_code& ec) {
  std::string out = ec.message();
  if (ec == asio::error::connection_refused) out += ": is it running, and is the port right?";
  if (ec == asio::error::host_not_found) out += ": is the name right?";
  if (ec == asio::error::timed_out || ec == asio::error::host_unreachable ||
      ec == asio::error::network_unreachable) {
    out += ": is the host up, and reached from here?";
  }
  return out;
}

}  // namespace

socket_stream::socket_stream(asio::io_context& io, const stream_options& options, std::string host,
                             std::uint16_t port)
    : io_(io), options_(options), socket_(io), timer_(io), host_(std::move(host)), port_(port) {}

socket_stream::socket_stream(asio::io_context& io, const stream_options& options,
                             generic::socket socket, const tcp::endpoint& remote)
    : io_(io), options_(options), socket_(std::move(socket)), timer_(io), remote_(remote) {
  error_code ec;
  local_ = socket_.local_endpoint(ec).protocol().family() == AF_UNIX;
  prepare_socket();
}

void socket_stream::prepare_socket() {
  error_code ec;
  if (!local_) {
    socket_.set_option(tcp::no_delay(true), ec);
    socket_.set_option(asio::socket_base::keep_alive(true), ec);
  }
  socket_.non_blocking(true, ec);
}

void socket_stream::start(std::shared_ptr<observer> o) {
  asio::post(io_, [self = shared_from_this(), o = std::move(o)]() mutable {
    self->observer_ = std::move(o);
    switch (self->state_) {
      case state::fresh:
        return self->connect();
      case state::open:
        return self->receive();
      case state::closed: {
        const auto too_late = std::move(self->observer_);
        return too_late->on_closed("closed before it was used");
      }
      default:
        return;
    }
  });
}

void socket_stream::connect() {
  state_ = state::opening;
  expect_within(options_.opening_timeout, "no connection");
  error_code ec;
  const auto literal = asio::ip::make_address(host_, ec);
  if (!ec) {
    const tcp::endpoint endpoint(literal, port_);
    return connect_to(tcp::resolver::results_type::create(endpoint, host_, std::string()));
  }
  // The resolver is kept until it is done or the deadline has closed the stream.
  const auto resolver = std::make_shared<tcp::resolver>(io_);
  resolver->async_resolve(host_, std::to_string(port_),
                          [self = shared_from_this(), resolver](
                              const error_code& failed, const tcp::resolver::results_type& found) {
                            if (self->state_ != state::opening) return;
                            if (failed) return self->fail(explain(failed));
                            self->connect_to(found);
                          });
}

void socket_stream::connect_to(const tcp::resolver::results_type& found) {
  std::vector<generic::endpoint> endpoints;
  for (const auto& entry : found) {
    // Whatever the name was: what counts is where it leads.
    if (!options_.tls && !entry.endpoint().address().is_loopback()) continue;
    if (connect_locally(entry.endpoint())) return on_connected({});
    endpoints.emplace_back(entry.endpoint());
  }
  if (endpoints.empty()) {
    return fail(
        "it lies beyond this host, where nodes speak mutual TLS only: set certificate, key and "
        "authority in [cluster.tls]");
  }
  asio::async_connect(
      socket_, endpoints,
      [self = shared_from_this()](const error_code& ec, const generic::endpoint& e) {
        if (!ec) std::memcpy(self->remote_.data(), e.data(), e.size());
        self->on_connected(ec);
      });
}

bool socket_stream::connect_locally(const tcp::endpoint& where) {
  const auto name = options_.tls ? std::nullopt : local_twin(where);
  const int fd = name ? net::connect_locally(*name) : -1;
  if (fd < 0) return false;
  error_code ec;
  socket_.assign(name->protocol(), fd, ec);
  if (ec) ::close(fd);
  local_ = !ec;
  remote_ = where;
  return local_;
}

void socket_stream::on_connected(const error_code& ec) {
  if (state_ != state::opening) return;
  if (ec) return fail(explain(ec));
  prepare_socket();
  if (options_.tls) return handshake(ssl::stream_base::client);
  on_open();
}

void socket_stream::open_accepted(std::function<void(const std::string& failure)> opened) {
  state_ = state::opening;
  opened_ = std::move(opened);
  expect_within(options_.opening_timeout, "no TLS handshake");
  if (options_.tls) return handshake(ssl::stream_base::server);
  on_open();
}

void socket_stream::handshake(ssl::stream_base::handshake_type role) {
  tls_.emplace(socket_, *options_.tls);
  tls_->async_handshake(role, [self = shared_from_this()](const error_code& ec) {
    if (self->state_ != state::opening) return;
    if (ec) return self->fail(tls_failure(*self->tls_->native_handle(), ec));
    self->on_open();
  });
}

void socket_stream::on_open() {
  state_ = state::open;
  expect_within(options_.opening_timeout, "the other side says nothing");
  if (const auto opened = std::exchange(opened_, nullptr)) return opened({});
  receive();
  const auto o = observer_;
  o->on_open();
}

void socket_stream::expect_within(milliseconds limit, const char* what) {
  timer_.expires_after(limit);
  timer_.async_wait([self = shared_from_this(), what](const error_code& cancelled) {
    if (cancelled || self->state_ == state::closed) return;
    // The wait may have ended just before it was cancelled.
    if (self->state_ == state::open && self->heard_) return;
    self->fail(fmt::format("{} in time", what));
  });
}

void socket_stream::read(bool wanted) {
  read_wanted_ = wanted;
  if (wanted && observer_) receive();
}

void socket_stream::receive() {
  if (receiving_ || !read_wanted_ || state_ != state::open) return;
  receiving_ = true;
  in_.resize(read_size);
  auto done = [self = shared_from_this()](const error_code& ec, std::size_t count) {
    self->on_received(ec, count);
  };
  if (tls_) {
    tls_->async_read_some(asio::buffer(in_), std::move(done));
  } else {
    socket_.async_read_some(asio::buffer(in_), std::move(done));
  }
}

void socket_stream::on_received(const error_code& ec, std::size_t count) {
  receiving_ = false;
  if (state_ != state::open) return;
  if (ec == asio::error::operation_aborted) return receive();  // by forget_room()
  // A server of TLS 1.3 tells what it thinks of a client's certificate after the handshake.
  if (ec && tls_ && !heard_) return fail(tls_failure(*tls_->native_handle(), ec));
  if (ec == asio::error::eof && !heard_ && !tls_) {
    return fail("it closed before it said anything: does it speak TLS, and this node not?");
  }
  if (ec) return fail(ec.message());
  if (!heard_) timer_.cancel();
  heard_ = true;
  const auto o = observer_;  // outlives a close() from within
  o->on_received({in_.data(), count});
  receive();
}

bool socket_stream::write(std::vector<char>& bytes) {
  if (state_ == state::closing || state_ == state::closed) {
    bytes.clear();
    return true;
  }
  if (state_ != state::open || sending_) return false;
  std::size_t sent = 0;
  if (!tls_) {
    error_code ec;
    sent = socket_.write_some(asio::buffer(bytes), ec);
    if (ec && ec != asio::error::would_block) fail_later(ec.message());
    if (sent == bytes.size() || (ec && ec != asio::error::would_block)) {
      bytes.clear();
      if (bytes.capacity() > kept_size) std::vector<char>().swap(bytes);
      return true;
    }
  }
  out_.swap(bytes);
  bytes.clear();
  send_rest(sent);
  return true;
}

void socket_stream::send_rest(std::size_t from) {
  sending_ = true;
  const auto rest = asio::buffer(out_) + from;
  auto done = [self = shared_from_this()](const error_code& ec, std::size_t) { self->on_sent(ec); };
  if (tls_) {
    asio::async_write(*tls_, rest, std::move(done));
  } else {
    asio::async_write(socket_, rest, std::move(done));
  }
}

void socket_stream::on_sent(const error_code& ec) {
  sending_ = false;
  out_.clear();
  if (out_.capacity() > kept_size) std::vector<char>().swap(out_);
  if (state_ == state::closed) return;
  if (ec) return fail(ec.message());
  if (state_ == state::open) {
    if (local_) forget_room();
    const auto o = observer_;
    return o->on_drained();
  }
  if (last_.empty()) return shut();
  out_.swap(last_);
  send_rest(0);
}

// Asio never stops to listen for room once it had to. The other side of a Unix socket tells of room
// with each message that it reads, so that we would be woken twice a message ever after.
void socket_stream::forget_room() {
  error_code ec;
  const auto protocol = socket_.local_endpoint(ec).protocol();
  const int fd = socket_.release(ec);
  if (!ec) socket_.assign(protocol, fd, ec);
  if (!ec) socket_.non_blocking(true, ec);
  if (ec) fail_later(ec.message());
}

void socket_stream::close(std::vector<char> last) {
  if (state_ == state::closing || state_ == state::closed) return;
  observer_.reset();
  if (state_ != state::open) return shut();
  write(last);
  if (!sending_) return shut();
  last_ = std::move(last);
  state_ = state::closing;
  expect_within(options_.closing_timeout, "the rest was not taken");
}

void socket_stream::fail(const std::string& why) {
  const auto o = std::move(observer_);
  observer_.reset();
  const auto opened = std::exchange(opened_, nullptr);
  shut();
  if (o) o->on_closed(why);
  if (opened) opened(why);
}

void socket_stream::fail_later(const std::string& why) {
  asio::post(io_, [self = shared_from_this(), why] {
    if (self->state_ != state::closed) self->fail(why);
  });
}

void socket_stream::shut() {
  if (state_ == state::closed) return;
  state_ = state::closed;
  timer_.cancel();
  error_code ec;
  socket_.shutdown(asio::socket_base::shutdown_send, ec);
  socket_.close(ec);
}

std::shared_ptr<byte_stream> make_stream(event_loop& loop, const std::string& host,
                                         std::uint16_t port, const stream_options& options) {
  return std::make_shared<socket_stream>(loop.context(), options, host, port);
}

}  // namespace lp::net
