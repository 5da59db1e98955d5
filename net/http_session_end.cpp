// SPDX-License-Identifier: MIT
// How a connection ends: clients that leave, that give way to others, and servers that stop.
#include <array>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include "net/http_errors.hpp"
#include "net/http_head.hpp"
#include "net/http_session.hpp"

namespace lp::net {

namespace asio = boost::asio;

namespace {

// How every answer begins. Sent a byte at a time to a client that closed its sending half, it is
// what that client would read anyway; the system of one that is gone answers that there is no such
// connection.
constexpr std::string_view beginning = "HTTP/1.1 ";
// Behind the first probe; each further pause is twice as long.
constexpr milliseconds probe_pause{500};

}  // namespace

std::string client_of(const asio::ip::address& a) {
  if (a.is_v4()) return a.to_string();
  const auto v6 = a.to_v6();
  if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_string();
  const auto bytes = v6.to_bytes();
  return std::string(bytes.begin(), bytes.begin() + 8);
}

std::shared_ptr<session> server_core::find_idle(const std::string& client) {
  session* found = nullptr;
  clock::rep since = clock::now().time_since_epoch().count();
  for (const auto& [s, weak] : sessions) {
    const clock::rep idle_from = s->idle_from_;
    if (s->extra_ || idle_from == 0 || idle_from > since) continue;
    if (!client.empty() && s->client_ != client) continue;
    since = idle_from;
    found = s;
  }
  if (found == nullptr) return nullptr;
  found->idle_from_ = 0;  // it is not found twice
  return sessions.at(found).lock();
}

void session::turn_away(std::string_view message) {
  response told = error_response(503, message);
  told.headers.push_back({"Retry-After", "1"});
  core_->cors.add_to(told, {});
  told.count = told.body->size();
  write_head(head_, told, {}, false);
  core_->refused.fetch_add(1, std::memory_order_relaxed);
  error_code ec;
  socket_.non_blocking(true, ec);
  // What lies unread would make the system cut the connection off, and the answer with it.
  std::array<char, 4096> unread;
  socket_.read_some(asio::buffer(unread), ec);
  socket_.write_some(
      std::array<asio::const_buffer, 2>{asio::buffer(head_), asio::buffer(*told.body)}, ec);
  socket_.shutdown(tcp_socket::shutdown_send, ec);
  close();
}

void session::begin_probing() {
  watch_for_reset();
  probe();
  if (state_ != state::closed) watch_deadline();
}

void session::probe() {
  next_probe_ = time_point::max();
  if (early_ == beginning.size()) return;
  error_code ec;
  early_ += socket_.write_some(asio::buffer(beginning.substr(early_, 1)), ec);
  if (ec && ec != asio::error::would_block) return close();
  next_probe_ = clock::now() + probe_pause * (1U << early_) / 2;
}

void session::watch_for_reset() {
  if (awaiting_reset_) return;
  awaiting_reset_ = true;
  socket_.async_wait(tcp_socket::wait_error, [self = shared_from_this()](const error_code& ec) {
    self->awaiting_reset_ = false;
    if (ec || self->state_ != state::handling) return;
    int failure = 0;
    socklen_t size = sizeof(failure);
    ::getsockopt(self->socket_.native_handle(), SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure != 0) self->close();
  });
}

void session::post_close(bool gently) {
  asio::post(strand_, [self = shared_from_this(), gently] {
    if (!gently || self->state_ == state::idle) self->close();
  });
}

void session::post_give_up(std::string message) {
  asio::post(strand_, [self = shared_from_this(), text = std::move(message)] {
    switch (self->state_) {
      case state::header:
      case state::body:
        return self->refuse(503, text);
      case state::handling:
        if (const auto e = self->exchange_.lock(); e && e->revoke()) {
          self->keep_alive_ = false;
          self->write(error_response({ec::draining, text, {}}));
        }
        return;
      case state::idle:
        return self->close();
      default:
        return;
    }
  });
}

void session::post_evict() {
  asio::post(strand_, [self = shared_from_this()] {
    switch (self->state_) {
      case state::idle:
      case state::lingering:
        return self->close();
      case state::header:
      case state::body:
        return self->refuse(503,
                            "this node has too many connections open: one that waited for "
                            "its request gave way");
      default:
        return;
    }
  });
}

void session::close() {
  if (state_ == state::closed) return;
  state_ = state::closed;
  idle_from_ = 0;
  if (const auto e = exchange_.lock()) e->revoke();
  error_code ec;
  socket_.close(ec);
  timer_.cancel();
}

}  // namespace lp::net
