// SPDX-License-Identifier: MIT
#include "net/http_exchange.hpp"

#include "net/http_errors.hpp"
#include "net/http_session.hpp"

namespace lp::net {

exchange::~exchange() {
  send(error_response({ec::internal, "the request was dropped without an answer", {}}));
}

bool exchange::send(response r) {
  std::function<void()> unused;  // destroyed after the lock is given back
  std::unique_lock lock(mutex_);
  if (!session_) return false;
  const auto target = std::move(session_);
  unused = std::move(on_gone_);
  const bool wanted = !gone_;
  if (target->on_own_strand()) {
    lock.unlock();
    target->answer(std::move(r));
  } else {
    // Posted under the lock: a server that stops revokes first, so nothing is posted to a
    // context that nobody runs any more.
    target->post_answer(std::move(r));
  }
  return wanted;
}

void exchange::on_disconnect(std::function<void()> gone) {
  std::unique_lock lock(mutex_);
  if (!gone_) {
    if (session_) std::swap(on_gone_, gone);
    return;
  }
  lock.unlock();
  gone();
}

bool exchange::connected() const {
  const std::lock_guard lock(mutex_);
  return !gone_;
}

void exchange::client_gone() {
  std::unique_lock lock(mutex_);
  if (gone_ || !session_) return;
  gone_ = true;
  const auto callback = std::move(on_gone_);
  lock.unlock();
  if (callback) callback();
}

bool exchange::revoke() {
  client_gone();
  std::shared_ptr<session> released;
  const std::lock_guard lock(mutex_);
  released = std::move(session_);
  return released != nullptr;
}

bool responder::send(response r) const {
  return exchange_ && exchange_->send(std::move(r));
}

void responder::on_disconnect(std::function<void()> gone) const {
  if (exchange_) exchange_->on_disconnect(std::move(gone));
}

bool responder::connected() const {
  return exchange_ && exchange_->connected();
}

}  // namespace lp::net
