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
#include "runtime/base/log_limit.hpp"

namespace lp::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

// Connections over the limit that are told so with all care at one time; beyond them they are sent
// the same without waiting for their requests.
constexpr std::size_t refused_at_once = 64;
constexpr std::string_view too_many = "this node has too many connections open";
constexpr std::string_view too_many_of_one =
    "this node has too many connections from your address open";
constexpr seconds tick_time{1};
// For the answers that say that a request is given up.
constexpr seconds farewell{2};
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
        retry_(acceptor_.get_executor()),
        tick_(acceptor_.get_executor()) {}

  result<void> listen();
  std::uint16_t port() const { return port_; }
  http_counters counters() const;
  void stop_accepting();
  bool drain(time_point deadline);
  void stop();

 private:
  void accept();
  void on_accept(const error_code& ec, tcp_socket socket);
  void admit(tcp_socket socket);
  void tell(bool one_client, const std::string& address) const;
  void tick();
  void give_up();
  std::vector<std::shared_ptr<session>> open_sessions();
  void close_sessions(bool gently);

  const std::shared_ptr<server_core> core_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  asio::basic_socket_acceptor<tcp, strand> acceptor_;
  strand_timer retry_;
  strand_timer tick_;
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
  asio::post(acceptor_.get_executor(), [self = shared_from_this()] {
    self->accept();
    self->tick();
  });
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
    // Where descriptors are short, one that is idle is closed for the next.
    std::shared_ptr<session> idle;
    {
      const std::lock_guard lock(core_->mutex);
      idle = core_->find_idle({});
      log::sparingly(log::level::warn, "http", "accept",
                     "accept failed: {} ({} connections are open)", ec.message(),
                     core_->sessions.size());
    }
    if (idle) idle->post_evict();
    retry_.expires_after(accept_pause);
    retry_.async_wait([self = shared_from_this()](const error_code& cancelled) {
      if (!cancelled) self->accept();
    });
    return;
  }
  if (!ec) {
    admit(std::move(socket));
  }
  accept();
}

// Over a limit, a connection that waits for its client gives way; else this one is told 503.
void http_server::impl::admit(tcp_socket socket) {
  error_code gone;
  const auto peer = socket.remote_endpoint(gone);
  if (gone) return;
  const http_options& o = core_->options;
  std::string client = client_of(peer.address());
  const auto s = std::make_shared<session>(core_, std::move(socket), client);
  std::shared_ptr<session> idle;
  std::string problem;
  {
    const std::lock_guard lock(core_->mutex);
    const auto own = core_->per_client.find(client);
    const bool many = o.max_connections_per_address > 0 && own != core_->per_client.end() &&
                      own->second >= o.max_connections_per_address;
    const bool full = core_->sessions.size() - core_->extra >= o.max_connections;
    if (many || full) idle = core_->find_idle(many ? client : std::string());
    if (full && !idle) problem = too_many;
    if (many && !idle) problem = too_many_of_one;
    s->enlist(!problem.empty());
    if (many || full) tell(many, peer.address().to_string());
    if (core_->extra > refused_at_once) {
      asio::post(s->executor(), [s] { s->turn_away(too_many); });
      return;
    }
  }
  if (idle) idle->post_evict();
  asio::post(s->executor(), [s, problem] { s->start(problem); });
}

void http_server::impl::tell(bool one_client, const std::string& address) const {
  const http_options& o = core_->options;
  if (one_client) {
    return log::sparingly(log::level::warn, "http", "connections of " + address,
                          "{} has {} connections open, the most for one address "
                          "(max_connections_per_address): its idle ones give way, or new ones are "
                          "answered 503",
                          address, o.max_connections_per_address);
  }
  log::sparingly(log::level::warn, "http", fmt::format("connections to {}", port_),
                 "{} connections are open, the most at once (max_connections): idle ones give way, "
                 "or new ones are answered 503; the newest comes from {}",
                 o.max_connections, address);
}

// Once a second, for what is nobody's request.
void http_server::impl::tick() {
  tick_.expires_after(tick_time);
  tick_.async_wait([self = shared_from_this()](const error_code& cancelled) {
    if (cancelled || !self->accepting_) return;
    self->core_->bodies->trim(clock::now());
    self->tick();
  });
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
               self->tick_.cancel();
               done.set_value();
             });
  // A handler that stops its own server must not wait for its own thread.
  if (!core_->io.get_executor().running_in_this_thread()) closed.wait();
}

std::vector<std::shared_ptr<session>> http_server::impl::open_sessions() {
  std::vector<std::shared_ptr<session>> open;
  const std::lock_guard lock(core_->mutex);
  for (const auto& [key, weak] : core_->sessions) {
    if (auto s = weak.lock()) open.push_back(std::move(s));
  }
  return open;
}

void http_server::impl::close_sessions(bool gently) {
  for (const auto& s : open_sessions()) s->post_close(gently);
}

bool http_server::impl::drain(time_point deadline) {
  stop_accepting();
  core_->draining = true;
  if (!stopped_) close_sessions(true);
  const auto over = [&] { return core_->sessions.empty(); };
  {
    std::unique_lock lock(core_->mutex);
    if (core_->closed.wait_until(lock, deadline, over)) return true;
  }
  if (!stopped_) give_up();
  std::unique_lock lock(core_->mutex);
  core_->closed.wait_for(lock, farewell, over);
  return false;
}

void http_server::impl::give_up() {
  const auto open = open_sessions();
  log::warn("http", "{} connections are not done in time: what they wait for is answered 503",
            open.size());
  for (const auto& s : open) {
    s->post_give_up("this node stops and gave the job up: it took longer than drain_timeout");
  }
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
