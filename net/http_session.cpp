// SPDX-License-Identifier: MIT
#include "net/http_session.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include "net/http_errors.hpp"
#include "net/http_head.hpp"
#include "runtime/base/log_limit.hpp"

namespace lp::net {

namespace asio = boost::asio;

namespace {

constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::size_t small_read = 4 * 1024;
constexpr std::size_t body_read = 64 * 1024;
// Of a compressed body: what it becomes is a thousand times as much at most, and others wait.
constexpr std::size_t compressed_read = 2 * 1024;
// How long and how much is read after a refusal: closing with unread input would reset the
// connection and could destroy the answer on its way.
// The time counts from the last bytes, since many clients send all before they read.
constexpr milliseconds linger_time{2'000};
constexpr milliseconds longest_linger{30'000};
constexpr std::size_t linger_bytes = 8 * 1024 * 1024;
// A body that stalls as long makes its connection one that waits for its client.
constexpr milliseconds stalled{5'000};
// Of requests whose body means nothing.
constexpr std::size_t idle_body = 64 * 1024;

duration smallest_timeout(const http_options& o) {
  return std::max(milliseconds(1), std::min({o.idle_timeout, o.header_timeout, o.body_timeout,
                                             o.write_timeout, o.answer_timeout, linger_time}));
}

std::string text(const asio::ip::tcp::endpoint& e) {
  const bool v6 = e.address().is_v6();
  return fmt::format(fmt::runtime(v6 ? "[{}]:{}" : "{}:{}"), e.address().to_string(), e.port());
}

}  // namespace

session::session(std::shared_ptr<server_core> core, tcp_socket socket, std::string client)
    : core_(std::move(core)),
      strand_(socket.get_executor()),
      socket_(std::move(socket)),
      timer_(strand_),
      in_(core_->options.header_limit + body_read),
      client_(std::move(client)),
      tick_(smallest_timeout(core_->options)) {}

session::~session() {
  const std::lock_guard lock(core_->mutex);
  if (core_->sessions.erase(this) > 0) {
    const auto own = core_->per_client.find(client_);
    if (extra_) --core_->extra;
    if (!extra_ && --own->second == 0) core_->per_client.erase(own);
  }
  core_->closed.notify_all();
}

void session::enlist(bool extra) {
  core_->sessions.emplace(this, weak_from_this());
  extra_ = extra;
  if (extra) {
    ++core_->extra;
  } else {
    ++core_->per_client[client_];
  }
}

void session::start(std::string_view overload) {
  error_code ec;
  socket_.set_option(asio::ip::tcp::no_delay(true), ec);
  socket_.non_blocking(true, ec);
  const auto peer = socket_.remote_endpoint(ec);
  if (ec) return close();
  remote_ = text(peer);
  local_ = text(socket_.local_endpoint(ec));
  parser_.emplace(core_->options.header_limit, core_->options.body_limit, core_->bodies);
  enter(state::idle, core_->options.idle_timeout);
  watch_deadline();
  if (!overload.empty()) return refuse(503, overload);
  await_input();
}

void session::enter(state s, milliseconds timeout) {
  const time_point now = clock::now();
  state_ = s;
  deadline_ = now + timeout;
  next_probe_ = time_point::max();
  const bool waits = s == state::idle || s == state::header || s == state::lingering;
  const time_point idle_from = s == state::body ? now + stalled : now;
  idle_from_ = waits || s == state::body ? idle_from.time_since_epoch().count() : 0;
}

// No timeout is shorter than a tick, so a timer set for at most a tick never oversleeps a deadline
// that is set meanwhile: changing the deadline costs no system call and no timer operation.
void session::watch_deadline() {
  timer_.expires_at(std::min({deadline_, next_probe_, clock::now() + tick_}));
  timer_.async_wait([self = shared_from_this()](const error_code& ec) {
    if (ec || self->state_ == state::closed) return;
    const time_point now = clock::now();
    if (now >= self->deadline_) self->on_deadline();
    if (self->state_ == state::handling && now >= self->next_probe_) self->probe();
    if (self->state_ != state::closed) self->watch_deadline();
  });
}

void session::on_deadline() {
  switch (state_) {
    case state::header:
      return refuse(408, "the request's header did not arrive in time");
    case state::body:
      return refuse(408, "the request's body did not arrive in time");
    case state::handling:
      if (const auto e = exchange_.lock(); e && e->revoke()) {
        keep_alive_ = false;
        return write(error_response({ec::deadline_exceeded, "the answer took too long", {}}));
      }
      return;
    default:
      return close();
  }
}

// Waits for readiness and reads then, instead of lending a buffer to a read: idle connections hold
// no memory and the buffer may be consumed at any time.
void session::await_input() {
  if (awaiting_input_ || input_ended_ || state_ == state::closed) return;
  if (in_.size() == in_.max_size()) return;  // further pipelined requests wait in the socket
  awaiting_input_ = true;
  socket_.async_wait(tcp_socket::wait_read,
                     [self = shared_from_this()](const error_code& ec) { self->on_readable(ec); });
}

void session::on_readable(const error_code& ec) {
  awaiting_input_ = false;
  if (state_ == state::closed || state_ == state::writing) return;
  if (ec) return on_input_end(ec);
  const std::size_t of_body = parser_->compressed() ? compressed_read : body_read;
  const std::size_t want = state_ == state::body ? of_body : small_read;
  error_code failed;
  const std::size_t count =
      socket_.read_some(in_.prepare(std::min(want, in_.max_size() - in_.size())), failed);
  if (failed == asio::error::would_block) return await_input();
  if (failed) return on_input_end(failed);
  in_.commit(count);
  on_input(count);
}

void session::on_input(std::size_t count) {
  switch (state_) {
    case state::handling:
      return await_input();
    case state::lingering:
      in_.consume(in_.size());
      drained_ += count;
      deadline_ = std::min(linger_end_, clock::now() + linger_time);
      return drained_ > core_->options.body_limit + linger_bytes ? close() : await_input();
    case state::body:
      idle_from_ = (clock::now() + stalled).time_since_epoch().count();
      return advance();
    default:
      return advance();
  }
}

// The end of input need not be the client's leaving: it may have closed its sending half alone (RFC
// 9112, 9.6). A closed connection looks no different until something is sent.
void session::on_input_end(const error_code& ec) {
  input_ended_ = true;
  if (ec != asio::error::eof) return close();
  switch (state_) {
    case state::handling:
      return begin_probing();
    case state::lingering:
      return close();
    default:
      return advance();
  }
}

void session::advance() {
  while (in_.size() > 0 && !parser_->done() && !parser_->failure()) {
    const bool had_header = parser_->header_done();
    const auto bytes = in_.cdata();
    const std::size_t used = parser_->feed({static_cast<const char*>(bytes.data()), bytes.size()});
    in_.consume(used);
    const bool head_came = !had_header && parser_->header_done() && !parser_->failure();
    if (head_came && !on_header()) return;
    if (used == 0) break;
  }
  if (const auto& failure = parser_->failure()) return refuse(failure->status, failure->message);
  if (parser_->done()) return handle();
  if (state_ == state::idle && parser_->started()) {
    enter(state::header, core_->options.header_timeout);
  }
  if (input_ended_ && state_ == state::idle) return close();
  if (input_ended_) return refuse(400, "the connection ended in the middle of a request");
  if (in_.size() == in_.max_size())
    return refuse(400, "a chunk's header or the trailer is too long");
  await_input();
}

// What the head alone tells: false if the request has been answered and its body is not read.
bool session::on_header() {
  const request& head = parser_->head();
  origin_ = head.header_value("Origin");
  told_ = check_head();
  if (told_ && !(parser_->small() && !parser_->wants_continue())) {
    begin_answer();
    keep_alive_ = false;
    must_linger_ = true;
    write(*std::exchange(told_, std::nullopt));
    return false;
  }
  if (parser_->done()) return true;
  if (head.method != "POST" && head.method != "PUT" && head.method != "PATCH") {
    parser_->limit_body(idle_body);
  }
  parser_->check_room();
  if (parser_->failure()) return true;
  enter(state::body, core_->options.body_timeout);
  if (!parser_->wants_continue() || in_.size() > 0) return true;
  // 25 bytes always fit into the empty send buffer of a connection that awaits its turn.
  error_code ec;
  socket_.write_some(asio::buffer(go_on), ec);
  return true;
}

std::optional<response> session::check_head() {
  try {
    if (auto answer = core_->cors.preflight(parser_->head())) return answer;
    if (core_->options.check_head) return core_->options.check_head(parser_->head());
    return std::nullopt;
  } catch (const std::exception& failure) {
    log::error("http", "looking at a request's head failed: {}", failure.what());
    return error_response({ec::internal, failure.what(), {}});
  }
}

void session::begin_answer() {
  const auto number = core_->requests.fetch_add(1, std::memory_order_relaxed);
  request_id_ = fmt::format("{}-{:x}", core_->id_prefix, number);
  to_head_ = parser_->is_head();
  keep_alive_ = parser_->keep_alive();
}

void session::handle() {
  enter(state::handling, core_->options.answer_timeout);
  begin_answer();
  if (told_) return write(*std::exchange(told_, std::nullopt));
  request r = parser_->take();
  r.id = request_id_;
  r.remote = remote_;
  r.local = local_;
  const auto e = std::make_shared<exchange>(shared_from_this());
  exchange_ = e;
  try {
    core_->handle(std::move(r), responder(e));
  } catch (const std::exception& failure) {
    log::error("http", "handler of {} failed: {}", request_id_, failure.what());
    e->send(error_response({ec::internal, failure.what(), {}}));
  } catch (...) {
    e->send(error_response({ec::internal, "the handler failed", {}}));
  }
  if (state_ != state::handling) return;
  if (input_ended_) return begin_probing();
  await_input();
}

void session::refuse(unsigned status, std::string_view message) {
  core_->refused.fetch_add(1, std::memory_order_relaxed);
  if (status == 503) log::sparingly(log::level::warn, "http", message, "503: {}", message);
  response told = error_response(status, message);
  if (status == 503) told.headers.push_back({"Retry-After", "1"});
  if (status == 415) told.headers.push_back({"Accept-Encoding", std::string(accepted_codings)});
  origin_ = parser_->head().header_value("Origin");
  parser_->drop_body();
  told_.reset();
  request_id_.clear();
  to_head_ = false;
  keep_alive_ = false;
  must_linger_ = true;
  write(std::move(told));
}

void session::post_answer(response r) {
  asio::post(strand_, [self = shared_from_this(), answer = std::move(r)]() mutable {
    self->answer(std::move(answer));
  });
}

void session::answer(response r) {
  if (state_ == state::handling) write(std::move(r));
}

void session::write(response r) {
  enter(state::writing, core_->options.write_timeout);
  if (core_->draining) keep_alive_ = false;
  core_->cors.add_to(r, origin_);
  body_ = std::move(r.body);
  const std::size_t size = body_ ? body_->size() : 0;
  r.first = std::min(r.first, size);
  r.count = std::min(r.count, size - r.first);
  write_head(head_, r, request_id_, keep_alive_);
  const bool with_body = !to_head_ && may_have_body(r.status) && r.count > 0;
  const std::array<asio::const_buffer, 2> parts{
      asio::buffer(head_) + early_,
      with_body ? asio::buffer(body_->data() + r.first, r.count) : asio::const_buffer()};
  // Most answers fit into the kernel's buffer and are sent at once. Not where further requests
  // wait: their answers would pile up on this stack.
  error_code ec;
  std::size_t sent = in_.size() == 0 ? socket_.write_some(parts, ec) : 0;
  if (sent == asio::buffer_size(parts)) return on_written({});
  const std::size_t of_head = std::min(sent, parts[0].size());
  const std::array<asio::const_buffer, 2> rest{parts[0] + of_head, parts[1] + (sent - of_head)};
  asio::async_write(socket_, rest, [self = shared_from_this()](const error_code& bad, std::size_t) {
    self->on_written(bad);
  });
}

void session::on_written(const error_code& ec) {
  body_.reset();
  if (state_ == state::closed) return;
  if (ec) return close();
  if (keep_alive_) return next_request();
  if (input_ended_ || (!must_linger_ && in_.size() == 0)) return close();
  linger();
}

void session::next_request() {
  parser_.emplace(core_->options.header_limit, core_->options.body_limit, core_->bodies);
  exchange_.reset();
  origin_.clear();
  early_ = 0;
  if (in_.size() == 0 && in_.capacity() > body_read / 2) in_.shrink_to_fit();
  enter(state::idle, core_->options.idle_timeout);
  if (core_->draining && in_.size() == 0) return close();
  advance();
}

void session::linger() {
  enter(state::lingering, linger_time);
  linger_end_ = clock::now() + (parser_->header_done() ? longest_linger : linger_time);
  error_code ec;
  socket_.shutdown(tcp_socket::shutdown_send, ec);
  in_.consume(in_.size());
  await_input();
}

}  // namespace lp::net
