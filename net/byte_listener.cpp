// SPDX-License-Identifier: MIT
#include <algorithm>
#include <list>

#include <unistd.h>

#include <fmt/format.h>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/byte_stream.hpp"
#include "net/local_twin.hpp"
#include "net/socket_stream.hpp"
#include "runtime/base/log_limit.hpp"

namespace lp::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

// Pause after accept() failed for want of descriptors or memory.
constexpr milliseconds accept_pause{100};

// Where connections come in, over TCP or over its local twin.
template <class Protocol>
struct entrance {
  explicit entrance(asio::io_context& io) : acceptor(io), pause(io) {}
  asio::basic_socket_acceptor<Protocol> acceptor;
  asio::steady_timer pause;
};

class socket_listener final : public byte_listener,
                              public std::enable_shared_from_this<socket_listener> {
 public:
  socket_listener(asio::io_context& io, stream_options options)
      : io_(io), options_(std::move(options)), tcp_(io), twin_(io) {}

  /// The step that failed, or null.
  const char* listen(const tcp::endpoint& where, error_code& ec);

  void start(std::function<void(std::shared_ptr<byte_stream>)> accepted) override {
    accepted_ = std::move(accepted);
    accept(tcp_);
    if (twin_.acceptor.is_open()) accept(twin_);
  }
  void stop() override;
  std::string address() const override { return local_.address().to_string(); }
  std::uint16_t port() const override { return local_.port(); }

 private:
  void listen_on_twin();
  template <class Protocol>
  void accept(entrance<Protocol>& from);
  template <class Protocol>
  void on_accept(entrance<Protocol>& from, const error_code& ec, typename Protocol::socket socket);
  void open(std::shared_ptr<socket_stream> stream);

  asio::io_context& io_;
  const stream_options options_;
  entrance<tcp> tcp_;
  entrance<asio::local::stream_protocol> twin_;  ///< closed where there is none
  tcp::endpoint local_;
  std::function<void(std::shared_ptr<byte_stream>)> accepted_;
  std::list<std::shared_ptr<socket_stream>> opening_;  ///< the oldest first
  bool stopped_ = false;
};

const char* socket_listener::listen(const tcp::endpoint& where, error_code& ec) {
  auto& acceptor = tcp_.acceptor;
  acceptor.open(where.protocol(), ec);
  if (ec) return "open a socket for";
  acceptor.set_option(asio::socket_base::reuse_address(true), ec);
  acceptor.bind(where, ec);
  if (ec) return "bind";
  acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return "listen on";
  local_ = acceptor.local_endpoint(ec);
  if (!options_.tls) listen_on_twin();
  return nullptr;
}

// TCP does without it, only slower.
void socket_listener::listen_on_twin() {
  const auto name = local_twin(local_);
  if (!name) return;
  const int fd = listen_locally(*name);
  error_code ec;
  if (fd >= 0) twin_.acceptor.assign({}, fd, ec);
  if (fd >= 0 && ec) ::close(fd);
  if (fd < 0 || ec) {
    log::warn("network", "the local name of {}:{} cannot be used; connections will be TCP",
              address(), port());
  }
}

void socket_listener::stop() {
  if (stopped_) return;
  stopped_ = true;
  error_code ec;
  tcp_.acceptor.close(ec);
  tcp_.pause.cancel();
  twin_.acceptor.close(ec);
  twin_.pause.cancel();
  asio::post(io_, [self = shared_from_this()] { self->accepted_ = nullptr; });  // may be under way
  while (!opening_.empty()) {
    const auto stream = opening_.front();
    opening_.pop_front();
    stream->abandon();
  }
}

template <class Protocol>
void socket_listener::accept(entrance<Protocol>& from) {
  from.acceptor.async_accept(
      [self = shared_from_this(), &from](const error_code& ec, typename Protocol::socket socket) {
        self->on_accept(from, ec, std::move(socket));
      });
}

tcp::endpoint who_is(const tcp::socket& socket) {
  error_code ec;
  return socket.remote_endpoint(ec);
}

tcp::endpoint who_is(const asio::local::stream_protocol::socket&) {
  return {asio::ip::address_v4::loopback(), 0};
}

template <class Protocol>
void socket_listener::on_accept(entrance<Protocol>& from, const error_code& ec,
                                typename Protocol::socket socket) {
  if (stopped_) return;
  if (!ec) {
    const tcp::endpoint remote = who_is(socket);
    open(std::make_shared<socket_stream>(io_, options_, std::move(socket), remote));
  } else if (ec != asio::error::connection_aborted) {
    log::warn("network", "accept failed: {}", ec.message());
    from.pause.expires_after(accept_pause);
    from.pause.async_wait([self = shared_from_this(), &from](const error_code& cancelled) {
      if (!cancelled && !self->stopped_) self->accept(from);
    });
    return;
  }
  if (!stopped_) accept(from);
}

// A stranger may begin handshakes and never end them: each has its deadline, and the oldest goes
// when there are too many, so that a member of the cluster always finds room.
void socket_listener::open(std::shared_ptr<socket_stream> stream) {
  if (opening_.size() >= options_.openings) {
    const auto oldest = opening_.front();
    opening_.pop_front();
    oldest->abandon();
  }
  opening_.insert(opening_.end(), stream);
  stream->open_accepted(
      [self = shared_from_this(), raw = stream.get()](const std::string& failure) {
        const auto found =
            std::find_if(self->opening_.begin(), self->opening_.end(),
                         [raw](const std::shared_ptr<socket_stream>& s) { return s.get() == raw; });
        if (found == self->opening_.end()) return;  // given up
        const auto mine = *found;
        self->opening_.erase(found);
        if (self->stopped_) return;
        if (failure.empty()) return self->accepted_(mine);
        log::sparingly(log::level::warn, "network", mine->address() + failure,
                       "{} is refused at {}:{}: {}", mine->address(), self->address(), self->port(),
                       failure);
      });
}

}  // namespace

result<std::shared_ptr<byte_listener>> listen(event_loop& loop, const std::string& host,
                                              std::uint16_t port, const stream_options& options) {
  const auto failed = [&](const char* step, const error_code& ec) {
    return fail(lp::ec::bad_config,
                fmt::format("cannot {} {}:{}: {}", step, host, port, ec.message()));
  };
  error_code ec;
  tcp::resolver resolver(loop.context());
  const auto found = resolver.resolve(host, std::to_string(port), tcp::resolver::passive, ec);
  if (ec) return failed("use the address", ec);
  auto out = std::make_shared<socket_listener>(loop.context(), options);
  if (const char* step = out->listen(found.begin()->endpoint(), ec)) return failed(step, ec);
  return std::shared_ptr<byte_listener>(std::move(out));
}

}  // namespace lp::net
