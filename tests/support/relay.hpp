// SPDX-License-Identifier: MIT
// A TCP connection's bytes on their way through a test, which can hold up those of one direction.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace lp::testing {

/// Listens on a loopback port and connects whoever comes to `target`.
class relay {
 public:
  explicit relay(std::uint16_t target) : target_(target) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in a = loopback(0);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&a), sizeof a);
    ::listen(listener_, 16);
    socklen_t size = sizeof a;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&a), &size);
    port_ = ntohs(a.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~relay() {
    release();
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (const int fd : sockets_) ::shutdown(fd, SHUT_RDWR);
    for (std::thread& t : pumps_) t.join();
    for (const int fd : sockets_) ::close(fd);
    ::close(listener_);
  }
  relay(const relay&) = delete;
  relay& operator=(const relay&) = delete;

  std::uint16_t port() const { return port_; }

  /// What those who connected say stays here from now on.
  void hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
    kept_.clear();
  }
  void release() {
    {
      const std::lock_guard lock(mutex_);
      held_ = false;
    }
    freed_.notify_all();
  }
  /// Whether what is held has this in it.
  bool holds(const std::string& text) {
    const std::lock_guard lock(mutex_);
    return kept_.find(text) != std::string::npos;
  }

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
  }

  void accept_all() {
    for (;;) {
      const int from = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (from < 0) return;
      const int to = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in a = loopback(target_);
      sockets_.push_back(from);
      sockets_.push_back(to);
      if (::connect(to, reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0) {
        ::shutdown(from, SHUT_RDWR);
        continue;
      }
      pumps_.emplace_back([this, from, to] { pump(from, to, true); });
      pumps_.emplace_back([this, from, to] { pump(to, from, false); });
    }
  }

  void pump(int from, int to, bool can_hold) {
    std::vector<char> part(65536);
    for (;;) {
      const ssize_t n = ::read(from, part.data(), part.size());
      if (n <= 0) break;
      if (can_hold) wait_until_free({part.data(), static_cast<std::size_t>(n)});
      for (ssize_t sent = 0; sent < n;) {
        const ssize_t m =
            ::send(to, part.data() + sent, static_cast<std::size_t>(n - sent), MSG_NOSIGNAL);
        if (m <= 0) break;
        sent += m;
      }
    }
    ::shutdown(to, SHUT_RDWR);
    ::shutdown(from, SHUT_RDWR);
  }

  void wait_until_free(std::string_view bytes) {
    std::unique_lock lock(mutex_);
    if (held_) kept_.append(bytes);
    freed_.wait(lock, [&] { return !held_; });
  }

  std::uint16_t target_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::thread acceptor_;
  std::list<std::thread> pumps_;  ///< of the acceptor's thread until it ends
  std::vector<int> sockets_;
  std::mutex mutex_;
  std::condition_variable freed_;
  bool held_ = false;
  std::string kept_;
};

/// A client that says what it wants, and leaves when this goes.
class leaving_client {
 public:
  leaving_client(std::uint16_t port, const std::string& target, const std::string& json) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const std::string text = "POST " + target +
                             " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                             "Content-Length: " +
                             std::to_string(json.size()) + "\r\n\r\n" + json;
    sent_ =
        ::connect(fd_, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0 &&
        ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  ~leaving_client() { ::close(fd_); }
  leaving_client(const leaving_client&) = delete;
  leaving_client& operator=(const leaving_client&) = delete;
  bool sent() const { return sent_; }

 private:
  int fd_ = -1;
  bool sent_ = false;
};

}  // namespace lp::testing
