// SPDX-License-Identifier: MIT
// A hub of models on a free port of this machine, which misbehaves as it is told.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

namespace lp::testing {

class fault_hub {
 public:
  /// What happens to one request for a file instead of the right answer.
  enum class fault {
    none,
    cut,          ///< the connection breaks after half of the body
    hang_up,      ///< it breaks before any answer
    wrong_range,  ///< the bytes are of another place
    whole,        ///< the range is ignored
    short_body,   ///< fewer bytes than the range, well-formed otherwise
    too_many,     ///< 429 with Retry-After: 0
    unavailable,  ///< 503
    slow,         ///< a byte at a time for the first bytes
    held          ///< half of the body, and the rest after release()
  };

  explicit fault_hub(std::map<std::string, std::string> answers) : answers_(std::move(answers)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(where);
    auto* const name = reinterpret_cast<sockaddr*>(&where);
    const bool listens = ::bind(listener_, name, size) == 0 && ::listen(listener_, 64) == 0 &&
                         ::getsockname(listener_, name, &size) == 0;
    if (!listens) throw std::runtime_error("no port for the hub");
    port_ = ntohs(where.sin_port);
    thread_ = std::thread([this] { accept_all(); });
  }
  ~fault_hub() {
    stopping_ = true;
    release();
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    for (std::thread& t : connections_) t.join();
  }
  fault_hub(const fault_hub&) = delete;
  fault_hub& operator=(const fault_hub&) = delete;

  std::string endpoint() const { return fmt::format("http://127.0.0.1:{}", port_); }

  /// The next requests for files meet these, one each.
  void expect(std::deque<fault> faults) {
    const std::lock_guard lock(mutex_);
    faults_ = std::move(faults);
  }
  /// Every request must carry this token.
  void demand_token(std::string token) {
    const std::lock_guard lock(mutex_);
    token_ = std::move(token);
  }
  /// Answers HEAD with 405, or with no length, or as servers do.
  enum class heads { right, refused, without_length };
  void answer_heads(heads how) {
    const std::lock_guard lock(mutex_);
    heads_ = how;
  }
  /// Further headers of a path's answers, each ending in CRLF.
  void describe(const std::string& path, std::string headers) {
    const std::lock_guard lock(mutex_);
    descriptions_[path] = std::move(headers);
  }
  /// Requests for that path are sent elsewhere.
  void redirect(const std::string& path, std::string location) {
    describe(path, "Location: " + std::move(location) + "\r\n");
    const std::lock_guard lock(mutex_);
    redirected_.insert(path);
  }
  /// The first lines of the requests so far.
  std::vector<std::string> lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  void set(const std::string& path, std::string body) {
    const std::lock_guard lock(mutex_);
    answers_[path] = std::move(body);
  }
  /// Lets the held answers go on, those to come too.
  void release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    let_go_.notify_all();
  }
  int requests() const { return requests_; }
  std::uint64_t bytes_sent() const { return sent_; }

 private:
  void accept_all() {
    while (!stopping_) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) return;
      connections_.emplace_back([this, fd] {
        serve(fd);
        ::shutdown(fd, SHUT_RDWR);
        ::close(fd);
      });
    }
  }

  static std::string read_head(int fd) {
    std::string head;
    char c = 0;
    while (head.find("\r\n\r\n") == std::string::npos && ::recv(fd, &c, 1, 0) == 1) head += c;
    return head;
  }

  void write(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      sent_ += static_cast<std::uint64_t>(n);
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  static std::string head_of(int status, std::size_t length, const std::string& more = {}) {
    return fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\n{}Connection: close\r\n\r\n", status,
                       length, more);
  }

  // What to do with a request, decided under the lock.
  struct plan {
    int status = 200;
    std::string body;
    std::string headers{};
    bool head = false;
    fault what = fault::none;
    bool file = false;
    bool lengthless = false;
  };
  static plan refusal(int status) {
    plan out;
    out.status = status;
    return out;
  }
  plan decide(const std::string& head) {
    const std::lock_guard lock(mutex_);
    ++requests_;
    lines_.push_back(head.substr(0, head.find('\r')));
    const std::size_t begin = head.find(' ') + 1;
    std::string path = head.substr(begin, head.find(' ', begin) - begin);
    path = path.substr(0, path.find('?'));
    if (!token_.empty() &&
        head.find("Authorization: Bearer " + token_ + "\r\n") == std::string::npos)
      return refusal(401);
    const auto it = answers_.find(path);
    if (redirected_.count(path) > 0) {
      plan out = refusal(302);
      out.headers = descriptions_[path];
      return out;
    }
    if (it == answers_.end()) return refusal(404);
    plan out;
    out.body = it->second;
    out.headers = descriptions_[path];
    out.head = head.starts_with("HEAD ");
    out.file = path.find("/resolve/") != std::string::npos;
    if (out.head && heads_ == heads::refused) return refusal(405);
    out.lengthless = out.head && heads_ == heads::without_length;
    if (out.file && !out.head && !faults_.empty()) {
      out.what = faults_.front();
      faults_.pop_front();
    }
    return out;
  }

  void serve(int fd) {
    const std::string head = read_head(fd);
    if (head.empty()) return;
    plan p = decide(head);
    if (p.status != 200) return write(fd, head_of(p.status, 0, p.headers));
    if (p.lengthless)
      return write(fd, "HTTP/1.1 200 X\r\n" + p.headers + "Connection: close\r\n\r\n");
    if (p.head) return write(fd, head_of(200, p.body.size(), p.headers));
    if (p.what == fault::hang_up) return;
    if (p.what == fault::too_many) return write(fd, head_of(429, 0, "Retry-After: 0\r\n"));
    if (p.what == fault::unavailable) return write(fd, head_of(503, 0));
    const std::size_t range = head.find("Range: bytes=");
    if (range == std::string::npos || p.what == fault::whole) {
      write(fd, head_of(200, p.body.size()));
      return write(fd, p.body);
    }
    answer_range(fd, head.substr(range + 13), p);
  }

  void answer_range(int fd, const std::string& text, const plan& p) {
    std::size_t used = 0;
    std::size_t first = std::stoul(text, &used);
    const std::size_t last = std::stoul(text.substr(used + 1));
    std::string part = p.body.substr(first, last - first + 1);
    if (p.what == fault::wrong_range) ++first;
    if (p.what == fault::short_body) part.pop_back();
    const std::string told =
        fmt::format("Content-Range: bytes {}-{}/{}\r\n", first,
                    p.what == fault::wrong_range ? last + 1 : last, p.body.size());
    write(fd, head_of(206, part.size(), told));
    if (p.what == fault::cut) return write(fd, part.substr(0, part.size() / 2));
    if (p.what == fault::held) {
      write(fd, part.substr(0, part.size() / 2));
      std::unique_lock lock(mutex_);
      let_go_.wait_for(lock, std::chrono::minutes(2), [this] { return released_; });
      part.erase(0, part.size() / 2);
    }
    if (p.what == fault::slow) {
      for (int i = 0; i < 20; ++i) {
        write(fd, part.substr(static_cast<std::size_t>(i), 1));
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
      part.erase(0, 20);
    }
    write(fd, part);
  }

  std::map<std::string, std::string> answers_;
  std::map<std::string, std::string> descriptions_;
  std::set<std::string> redirected_;
  std::vector<std::string> lines_;
  heads heads_ = heads::right;
  std::deque<fault> faults_;
  std::string token_;
  std::mutex mutex_;
  std::condition_variable let_go_;
  bool released_ = false;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> requests_{0};
  std::atomic<std::uint64_t> sent_{0};
  std::thread thread_;
  std::list<std::thread> connections_;
};

}  // namespace lp::testing
