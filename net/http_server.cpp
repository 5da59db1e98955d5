// SPDX-License-Identifier: MIT
#include "net/http_server.hpp"

#include <future>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include "net/event_loop.hpp"
#include "net/http_session.hpp"
#include "runtime/base/log.hpp"

namespace lp::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

// Connections over the limit that are told so at one time; beyond them sockets are just closed.
constexpr std::size_t refused_at_once = 64;
// Pause after accept() failed for want of descriptors or memory.
constexpr milliseconds accept_pause{100};
// How long callbacks of a shared loop are waited for when stopping; they have nothing to wait for.
constexpr seconds last_callbacks{5};

// Want of memory, or a throwing callback, costs the connection it came up on and no other.
void serve(asio::io_context& io) {
  for (;;) {
    try {
      io.run();
      return;
    } catch (const std::exception& e) {
      log::error("http", "a connection was dropped: {}", e.what());
    }
  }
}

}  // namespace

// What waits for connections holds it: on a shared loop that may last longer than the server.
class http_server::impl : public std::enable_shared_from_this<impl> {
 public:
  impl(const http_options& options, handler h, event_loop* shared)
      : core_(std::make_shared<server_core>(options, std::move(h), shared)),
        work_(core_->io.get_executor()),
        acceptor_(strand(core_->io.get_executor())),
        retry_(acceptor_.get_executor()) {}

  result<void> listen();
  std::uint16_t port() const { return port_; }
  http_counters counters() const;
  void stop_accepting();
  bool drain(time_point deadline);
  void stop();

 private:
  void accept();
  void on_accept(const error_code& ec, tcp_socket socket);
  void close_sessions(bool gently);

  const std::shared_ptr<server_core> core_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  asio::basic_socket_acceptor<tcp, strand> acceptor_;
  strand_timer retry_;
  std::vector<std::thread> threads_;
  std::uint16_t port_ = 0;
  bool listening_ = false;
  bool accepting_ = true;  // on the acceptor's strand
  std::atomic<bool> stopped_ = false;
};

result<void> http_server::impl::listen() {
  const http_options& o = core_->options;
  error_code ec;
  const auto failed = [&](const char* step) {
    return fail(lp::ec::bad_config,
                fmt::format("cannot {} {}:{}: {}", step, o.address, o.port, ec.message()));
  };
  const auto address = asio::ip::make_address(o.address, ec);
  if (ec) return failed("use the address");
  const tcp::endpoint endpoint(address, o.port);
  acceptor_.open(endpoint.protocol(), ec);
  if (ec) return failed("open a socket for");
  acceptor_.set_option(asio::socket_base::reuse_address(true), ec);
  acceptor_.bind(endpoint, ec);
  if (ec) return failed("bind");
  acceptor_.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return failed("listen on");
  port_ = acceptor_.local_endpoint(ec).port();
  listening_ = true;
  asio::post(acceptor_.get_executor(), [self = shared_from_this()] { self->accept(); });
  if (!core_->own) work_.reset();
  for (unsigned i = 0; core_->own && i < std::max(1U, o.threads); ++i) {
    threads_.emplace_back([core = core_] { serve(core->io); });
  }
  return {};
}

void http_server::impl::accept() {
  if (!accepting_) return;
  acceptor_.async_accept(asio::make_strand(core_->io),
                         [self = shared_from_this()](const error_code& ec, tcp_socket socket) {
                           self->on_accept(ec, std::move(socket));
                         });
}

void http_server::impl::on_accept(const error_code& ec, tcp_socket socket) {
  if (!accepting_) return;
  if (ec && ec != asio::error::connection_aborted) {
    log::warn("http", "accept failed: {}", ec.message());
    retry_.expires_after(accept_pause);
    retry_.async_wait([self = shared_from_this()](const error_code& cancelled) {
      if (!cancelled) self->accept();
    });
    return;
  }
  if (!ec) {
    const auto s = std::make_shared<session>(core_, std::move(socket));
    std::unique_lock lock(core_->mutex);
    const std::size_t open = core_->sessions.size();
    const std::size_t limit = core_->options.max_connections;
    if (open < limit + refused_at_once) {
      core_->sessions.emplace(s.get(), s);
      lock.unlock();
      const bool overload = open >= limit;
      asio::post(s->executor(), [s, overload] { s->start(overload); });
    }
  }
  accept();
}

http_counters http_server::impl::counters() const {
  http_counters out;
  const std::lock_guard lock(core_->mutex);
  out.connections = core_->sessions.size();
  out.requests = core_->requests;
  out.refused = core_->refused;
  return out;
}

void http_server::impl::stop_accepting() {
  if (stopped_ || !listening_) return;  // nobody would run what is posted
  std::promise<void> done;
  auto closed = done.get_future();
  asio::post(acceptor_.get_executor(),
             [self = shared_from_this(), done = std::move(done)]() mutable {
               self->accepting_ = false;
               error_code ec;
               self->acceptor_.close(ec);
               self->retry_.cancel();
               done.set_value();
             });
  // A handler that stops its own server must not wait for its own thread.
  if (!core_->io.get_executor().running_in_this_thread()) closed.wait();
}

void http_server::impl::close_sessions(bool gently) {
  std::vector<std::shared_ptr<session>> open;
  {
    const std::lock_guard lock(core_->mutex);
    for (const auto& [key, weak] : core_->sessions) {
      if (auto s = weak.lock()) open.push_back(std::move(s));
    }
  }
  for (const auto& s : open) s->post_close(gently);
}

bool http_server::impl::drain(time_point deadline) {
  stop_accepting();
  core_->draining = true;
  if (!stopped_) close_sessions(true);
  std::unique_lock lock(core_->mutex);
  return core_->closed.wait_until(lock, deadline, [&] { return core_->sessions.empty(); });
}

void http_server::impl::stop() {
  if (stopped_) return;
  stop_accepting();
  stopped_ = true;
  close_sessions(false);
  work_.reset();  // the threads end with the last session's last operation
  for (std::thread& t : threads_) t.join();
  if (core_->own) return;
  std::unique_lock lock(core_->mutex);
  const bool all =
      core_->closed.wait_for(lock, last_callbacks, [&] { return core_->sessions.empty(); });
  if (!all) log::error("http", "{} connections do not end", core_->sessions.size());
}

result<std::unique_ptr<http_server>> http_server::start(const http_options& options, handler h,
                                                        event_loop* loop) {
  auto i = std::make_shared<impl>(options, std::move(h), loop);
  if (auto listening = i->listen(); !listening) return fail(std::move(listening.error()));
  return std::unique_ptr<http_server>(new http_server(std::move(i)));
}

http_server::http_server(std::shared_ptr<impl> i) : impl_(std::move(i)) {}
http_server::~http_server() {
  impl_->stop();
}

std::uint16_t http_server::port() const {
  return impl_->port();
}
http_counters http_server::counters() const {
  return impl_->counters();
}
void http_server::stop_accepting() {
  impl_->stop_accepting();
}
bool http_server::drain(time_point deadline) {
  return impl_->drain(deadline);
}
void http_server::stop() {
  impl_->stop();
}

}  // namespace lp::net
