// SPDX-License-Identifier: MIT
#include <algorithm>
#include <list>

#include <fmt/format.h>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/byte_stream.hpp"
#include "net/tcp_stream.hpp"
#include "runtime/base/log.hpp"

namespace lp::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

// Pause after accept() failed for want of descriptors or memory.
constexpr milliseconds accept_pause{100};

class tcp_listener final : public byte_listener, public std::enable_shared_from_this<tcp_listener> {
 public:
  tcp_listener(asio::io_context& io, stream_options options)
      : io_(io), options_(std::move(options)), acceptor_(io), pause_(io) {}

  /// The step that failed, or null.
  const char* listen(const tcp::endpoint& where, error_code& ec);

  void start(std::function<void(std::shared_ptr<byte_stream>)> accepted) override {
    accepted_ = std::move(accepted);
    accept();
  }
  void stop() override;
  std::string address() const override { return local_.address().to_string(); }
  std::uint16_t port() const override { return local_.port(); }

 private:
  void accept();
  void on_accept(const error_code& ec, tcp::socket socket);
  void open(std::shared_ptr<tcp_stream> stream);

  asio::io_context& io_;
  const stream_options options_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  tcp::endpoint local_;
  std::function<void(std::shared_ptr<byte_stream>)> accepted_;
  std::list<std::shared_ptr<tcp_stream>> opening_;  ///< the oldest first
  bool stopped_ = false;
};

const char* tcp_listener::listen(const tcp::endpoint& where, error_code& ec) {
  acceptor_.open(where.protocol(), ec);
  if (ec) return "open a socket for";
  acceptor_.set_option(asio::socket_base::reuse_address(true), ec);
  acceptor_.bind(where, ec);
  if (ec) return "bind";
  acceptor_.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return "listen on";
  local_ = acceptor_.local_endpoint(ec);
  return nullptr;
}

void tcp_listener::stop() {
  if (stopped_) return;
  stopped_ = true;
  error_code ec;
  acceptor_.close(ec);
  pause_.cancel();
  asio::post(io_, [self = shared_from_this()] { self->accepted_ = nullptr; });  // may be under way
  while (!opening_.empty()) {
    const auto stream = opening_.front();
    opening_.pop_front();
    stream->abandon();
  }
}

void tcp_listener::accept() {
  acceptor_.async_accept([self = shared_from_this()](const error_code& ec, tcp::socket socket) {
    self->on_accept(ec, std::move(socket));
  });
}

void tcp_listener::on_accept(const error_code& ec, tcp::socket socket) {
  if (stopped_) return;
  if (!ec) {
    open(std::make_shared<tcp_stream>(io_, options_, std::move(socket)));
  } else if (ec != asio::error::connection_aborted) {
    log::warn("network", "accept failed: {}", ec.message());
    pause_.expires_after(accept_pause);
    pause_.async_wait([self = shared_from_this()](const error_code& cancelled) {
      if (!cancelled && !self->stopped_) self->accept();
    });
    return;
  }
  if (!stopped_) accept();
}

// A stranger may begin handshakes and never end them: each has its deadline, and the oldest goes
// when there are too many, so that a member of the cluster always finds room.
void tcp_listener::open(std::shared_ptr<tcp_stream> stream) {
  if (opening_.size() >= options_.openings) {
    const auto oldest = opening_.front();
    opening_.pop_front();
    oldest->abandon();
  }
  opening_.insert(opening_.end(), stream);
  stream->open_accepted([self = shared_from_this(), raw = stream.get()](bool ok) {
    const auto found =
        std::find_if(self->opening_.begin(), self->opening_.end(),
                     [raw](const std::shared_ptr<tcp_stream>& s) { return s.get() == raw; });
    if (found == self->opening_.end()) return;  // given up
    const auto mine = *found;
    self->opening_.erase(found);
    if (ok && !self->stopped_) self->accepted_(mine);
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
  auto out = std::make_shared<tcp_listener>(loop.context(), options);
  if (const char* step = out->listen(found.begin()->endpoint(), ec)) return failed(step, ec);
  return std::shared_ptr<byte_listener>(std::move(out));
}

}  // namespace lp::net
