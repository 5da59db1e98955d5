// SPDX-License-Identifier: MIT
// Inside the server: the link between one request's responders and its connection.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "net/http_message.hpp"

namespace lp::net {

class session;

/// Owned by the responders; the session only watches it.
class exchange {
 public:
  explicit exchange(std::shared_ptr<session> s) : session_(std::move(s)) {}
  exchange(const exchange&) = delete;
  exchange& operator=(const exchange&) = delete;
  ~exchange();

  bool send(response r);
  void on_disconnect(std::function<void()> gone);
  bool connected() const;

  /// For the session. The client closed its side: runs the callback; an answer is still tried.
  void client_gone();
  /// For the session. No answer can be sent any more, whoever tries; false if one was on its way.
  /// Runs the callback too.
  bool revoke();

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<session> session_;  // null once answered or revoked
  std::function<void()> on_gone_;
  bool gone_ = false;
};

}  // namespace lp::net
