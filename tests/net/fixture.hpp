// SPDX-License-Identifier: MIT
// A server on a free port and clients for it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "net/http_client.hpp"
#include "net/http_errors.hpp"
#include "net/http_server.hpp"

namespace lp::net::test {

/// Long enough for any machine; only a hang gets there.
inline time_point soon() {
  return clock::now() + seconds(20);
}

/// A value that one thread sets and another waits for.
template <class T>
class slot {
 public:
  void put(T value) {
    const std::lock_guard lock(mutex_);
    value_ = std::move(value);
    changed_.notify_all();
  }
  std::optional<T> wait(time_point deadline = soon()) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline, [&] { return value_.has_value(); });
    return value_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<T> value_;
};

/// Answers with method, target and body, so that a test sees what the server understood.
inline void echo(request&& r, responder reply) {
  reply.send(text_response(200, r.method + " " + r.target + "\n" + r.body));
}

struct running_server {
  explicit running_server(handler h, http_options options = {}) {
    auto started = http_server::start(options, std::move(h));
    if (!started) throw std::runtime_error(render(started.error()));
    server = std::move(*started);
  }
  http_client client() const {
    auto c = http_client::connect("127.0.0.1", server->port(), soon());
    if (!c) throw std::runtime_error(render(c.error()));
    return std::move(*c);
  }
  std::unique_ptr<http_server> server;
};

/// The value or a failed test with the error's text.
template <class T>
T get(result<T> r) {
  if (r) return std::move(*r);
  throw std::runtime_error(render(r.error()));
}
inline void get(result<void> r) {
  if (!r) throw std::runtime_error(render(r.error()));
}

inline std::string header_of(const http_reply& r, std::string_view name) {
  const std::string* value = find_header(r.headers, name);
  return value ? *value : "";
}

}  // namespace lp::net::test
