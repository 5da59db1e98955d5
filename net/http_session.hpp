// SPDX-License-Identifier: MIT
// Inside the server: one connection.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include "net/body_budget.hpp"
#include "net/cors.hpp"
#include "net/event_loop.hpp"
#include "net/http_exchange.hpp"
#include "net/http_parser.hpp"
#include "net/http_server.hpp"

namespace lp::net {

using strand = boost::asio::strand<boost::asio::io_context::executor_type>;
using tcp_socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, strand>;
using strand_timer =
    boost::asio::basic_waitable_timer<clock, boost::asio::wait_traits<clock>, strand>;

/// What the sessions of one server share. It outlives the server while responders are held.
struct server_core {
  /// `shared`: the loop to run on; null for a context with threads of its own.
  server_core(const http_options& o, handler h, event_loop* shared)
      : options(o),
        handle(std::move(h)),
        bodies(std::make_shared<body_budget>(o.bodies_limit)),
        cors(o.cors_origins),
        loop(shared),
        own(shared ? nullptr
                   : std::make_unique<boost::asio::io_context>(static_cast<int>(o.threads))),
        io(shared ? shared->context() : *own) {}

  const http_options options;
  const handler handle;
  const std::shared_ptr<body_budget> bodies;
  const cors_policy cors;
  const event_loop* const loop;  ///< null: own threads
  std::atomic<bool> draining = false;
  std::atomic<std::uint64_t> requests = 0;
  std::atomic<std::uint64_t> refused = 0;
  const std::string id_prefix = random_hex(4);

  std::mutex mutex;
  std::condition_variable closed;
  std::unordered_map<session*, std::weak_ptr<session>> sessions;
  std::unordered_map<std::string, std::size_t> per_client;  ///< connections of each client_of()

  std::size_t extra = 0;  ///< sessions over a limit, which are only told so

  /// Under the mutex: the session that may give way to another connection since the longest, of
  /// `client` alone where one is named; null where all are busy.
  std::shared_ptr<session> find_idle(const std::string& client);

  // Last, so that it goes first: it destroys handlers that hold the rest.
  const std::unique_ptr<boost::asio::io_context> own;
  boost::asio::io_context& io;
};

/// Whom a limit of connections counts together: an IPv4 address, or the first half of an IPv6 one,
/// since the second is for each to choose.
std::string client_of(const boost::asio::ip::address& a);

/// Reads requests, hands them to the handler one at a time and writes the answers. Everything but
/// the functions named post_ runs on the strand. Input is awaited while the handler works,
/// too: that is how a client that leaves is noticed, and what comes is the next request's
/// beginning.
class session : public std::enable_shared_from_this<session> {
 public:
  /// `client`: client_of() its address. To be entered among the core's sessions at once.
  session(std::shared_ptr<server_core> core, tcp_socket socket, std::string client);
  /// Under the core's mutex, once: counts it; `extra` where it is over a limit.
  void enlist(bool extra);
  ~session();

  /// `overload`: what is wrong, where the connection is to be answered 503 and closed.
  void start(std::string_view overload);
  /// Answers 503 with what can be done at once, and closes.
  void turn_away(std::string_view message);
  void answer(response r);
  void post_answer(response r);
  /// Closes now, or with `gently` once the request under way is answered.
  void post_close(bool gently);
  /// Answers what is under way 503 with this message and closes.
  void post_give_up(std::string message);
  /// Gives way to another connection unless it has got busy.
  void post_evict();
  /// Whether answer() may be called now: on the strand, or on the one thread of a shared loop.
  bool on_own_strand() const {
    return (core_->loop && core_->loop->owned_here()) || strand_.running_in_this_thread();
  }
  const strand& executor() const { return strand_; }

 private:
  friend struct server_core;
  enum class state { idle, header, body, handling, writing, lingering, closed };
  using error_code = boost::system::error_code;

  void await_input();
  void on_readable(const error_code& ec);
  void on_input(std::size_t count);
  void on_input_end(const error_code& ec);
  void advance();
  bool on_header();
  std::optional<response> check_head();
  void begin_answer();
  void handle();
  void begin_probing();
  void probe();
  void watch_for_reset();
  void refuse(unsigned status, std::string_view message);
  void write(response r);
  void on_written(const error_code& ec);
  void next_request();
  void linger();
  void close();
  void enter(state s, milliseconds timeout);
  void watch_deadline();
  void on_deadline();

  // The strand and what stands on it must go before the core, which owns the context.
  const std::shared_ptr<server_core> core_;
  const strand strand_;
  tcp_socket socket_;
  strand_timer timer_;
  boost::beast::flat_buffer in_;
  std::optional<request_parser> parser_;
  const std::string client_;
  std::string remote_;
  std::string local_;

  state state_ = state::idle;
  time_point deadline_;
  duration tick_;                     // how often the deadline is looked at
  std::weak_ptr<exchange> exchange_;  // of the request being handled
  std::string request_id_;
  std::string origin_;            // of the page that sends the request
  std::string head_;              // of the answer being written
  shared_bytes body_;             // of the answer being written
  std::size_t drained_ = 0;       // bytes thrown away while lingering
  std::optional<response> told_;  // the answer, where the head alone decided it
  time_point linger_end_;
  time_point next_probe_ = time_point::max();  // of a client that closed its sending half
  std::size_t early_ = 0;                      // bytes of the answer that were sent to probe it
  // When it begins to count as idle, in ticks of the clock; 0 while it is busy.
  std::atomic<clock::rep> idle_from_ = 0;
  bool extra_ = false;
  bool awaiting_input_ = false;
  bool awaiting_reset_ = false;
  bool input_ended_ = false;
  bool to_head_ = false;
  bool keep_alive_ = false;
  bool must_linger_ = false;
};

}  // namespace lp::net
