// SPDX-License-Identifier: MIT
#include "net/http_client.hpp"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace lp::net {

namespace {

namespace http = boost::beast::http;

constexpr std::size_t reply_limit = 256ULL << 20;
constexpr std::size_t read_size = 64 * 1024;

tl::unexpected<error> broken(const char* what) {
  return fail(ec::unavailable, fmt::format("{}: {}", what, std::strerror(errno)));
}

// A connected non-blocking socket, or -1 with errno.
int open_connection(const addrinfo& a, time_point deadline) {
  const int fd = ::socket(a.ai_family, a.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a.ai_protocol);
  if (fd < 0) return -1;
  int failure = 0;
  socklen_t size = sizeof(failure);
  if (::connect(fd, a.ai_addr, a.ai_addrlen) != 0) failure = errno;
  if (failure == EINPROGRESS) {
    failure = ETIMEDOUT;
    if (wait_for(fd, POLLOUT, deadline)) ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size);
  }
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (failure == 0) return fd;
  ::close(fd);
  errno = failure;
  return -1;
}

}  // namespace

result<http_client> http_client::connect(const std::string& host, std::uint16_t port,
                                         time_point deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string service = std::to_string(port);
  if (const int code = ::getaddrinfo(host.c_str(), service.c_str(), &hints, &found)) {
    return fail(ec::unavailable, fmt::format("{}: {}", host, ::gai_strerror(code)));
  }
  int fd = -1;
  for (const addrinfo* a = found; a && fd < 0; a = a->ai_next) fd = open_connection(*a, deadline);
  const int failure = errno;
  ::freeaddrinfo(found);
  const bool v6 = host.find(':') != std::string::npos;
  const std::string name = fmt::format(fmt::runtime(v6 ? "[{}]:{}" : "{}:{}"), host, port);
  if (fd < 0) {
    return fail(ec::unavailable,
                fmt::format("cannot connect to {}: {}", name, std::strerror(failure)));
  }
  return http_client(fd, name);
}

result<http_client> http_client::connect_tls(const std::string& host, std::uint16_t port,
                                             const tls_options& options, time_point deadline) {
  auto client = connect(host, port, deadline);
  if (!client) return client;
  auto session = tls_session::open(client->fd_, host, options, deadline);
  if (!session) return fail(std::move(session.error()));
  client->tls_ = std::move(*session);
  return client;
}

http_client::http_client(http_client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      tls_(std::move(other.tls_)),
      host_(std::move(other.host_)),
      unread_(std::move(other.unread_)) {}

http_client& http_client::operator=(http_client&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(tls_, other.tls_);
  std::swap(host_, other.host_);
  std::swap(unread_, other.unread_);
  return *this;
}

http_client::~http_client() {
  tls_.reset();
  if (fd_ >= 0) ::close(fd_);
}

result<http_reply> http_client::send(std::string_view method, std::string_view target,
                                     std::string_view body, const std::vector<header>& headers,
                                     time_point deadline) {
  std::string out = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", method, target, host_);
  for (const header& h : headers) out += fmt::format("{}: {}\r\n", h.name, h.value);
  if (!body.empty() || method == "POST") out += fmt::format("Content-Length: {}\r\n", body.size());
  out.append("\r\n").append(body);
  if (auto sent = write(out, deadline); !sent) return fail(std::move(sent.error()));
  return read_reply(deadline, method == "HEAD");
}

result<http_reply> http_client::get(std::string_view target, time_point deadline) {
  return send("GET", target, {}, {}, deadline);
}

result<http_reply> http_client::post_json(std::string_view target, std::string_view json,
                                          time_point deadline) {
  return send("POST", target, json, {{"Content-Type", "application/json"}}, deadline);
}

result<void> http_client::write(std::string_view bytes, time_point deadline) {
  while (!bytes.empty()) {
    const auto sent = transmit(bytes, deadline);
    if (!sent) return fail(sent.error());
    bytes.remove_prefix(*sent);
  }
  return {};
}

result<std::size_t> http_client::transmit(std::string_view bytes, time_point deadline) {
  if (tls_) return tls_->write(bytes.data(), bytes.size(), deadline);
  for (;;) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EAGAIN) {
      if (auto ready = wait_for(fd_, POLLOUT, deadline); !ready) return fail(ready.error());
    } else if (errno != EINTR) {
      return broken("send");
    }
  }
}

// At most `size` bytes; 0 at the end of the stream.
result<std::size_t> http_client::receive(char* data, std::size_t size, time_point deadline) {
  if (tls_) return tls_->read(data, size, deadline);
  for (;;) {
    const ssize_t n = ::recv(fd_, data, size, 0);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EAGAIN) {
      if (auto ready = wait_for(fd_, POLLIN, deadline); !ready) return fail(ready.error());
    } else if (errno != EINTR) {
      return broken("recv");
    }
  }
}

// Appends to unread_; 0 at the end of the stream.
result<std::size_t> http_client::read_some(time_point deadline) {
  const std::size_t had = unread_.size();
  unread_.resize(had + read_size);
  auto got = receive(unread_.data() + had, read_size, deadline);
  unread_.resize(had + (got ? *got : 0));
  return got;
}

result<http_reply> http_client::read_reply(time_point deadline, bool to_head) {
  auto parser = std::make_unique<http::response_parser<http::string_body>>();
  parser->eager(true);
  parser->body_limit(reply_limit);
  parser->skip(to_head);
  const auto malformed = [](const boost::beast::error_code& error) {
    return fail(ec::bad_request, fmt::format("the answer is not HTTP: {}", error.message()));
  };
  boost::beast::error_code error;
  while (!parser->is_done()) {
    std::size_t used = 0;
    if (!unread_.empty()) {
      used = parser->put(boost::asio::buffer(unread_.data(), unread_.size()), error);
      unread_.erase(0, used);
      if (error && error != http::error::need_more) return malformed(error);
    }
    if (parser->is_done() || (used > 0 && !unread_.empty() && !error)) continue;
    const auto got = read_some(deadline);
    if (!got) return fail(got.error());
    if (*got > 0) continue;
    if (!parser->got_some()) return fail(ec::unavailable, "the server closed the connection");
    parser->put_eof(error);
    if (error) return fail(ec::unavailable, "the server closed the connection in an answer");
  }
  auto message = parser->release();
  http_reply out;
  out.status = message.result_int();
  for (const auto& field : message) {
    out.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  out.body = std::move(message.body());
  return out;
}

void http_client::finish_sending() {
  if (tls_) tls_->finish_sending();
  ::shutdown(fd_, SHUT_WR);
}

bool http_client::closed_by_server(time_point deadline) {
  if (!unread_.empty()) return false;
  const auto got = read_some(deadline);
  if (got) return *got == 0;
  return got.error().code != ec::deadline_exceeded;  // a reset closes, too
}

result<http_reply> http_get(const std::string& url, time_point deadline) {
  constexpr std::string_view scheme = "http://";
  const auto wrong = [&] {
    return fail(ec::bad_request, fmt::format("{} is not http://HOST:PORT/TARGET", url));
  };
  if (!url.starts_with(scheme)) return wrong();
  const std::size_t slash = std::min(url.find('/', scheme.size()), url.size());
  const std::string authority = url.substr(scheme.size(), slash - scheme.size());
  const std::size_t colon = authority.rfind(':');
  if (colon == std::string::npos) return wrong();
  std::uint16_t port = 0;
  const char* const last = authority.data() + authority.size();
  const auto [end, error] = std::from_chars(authority.data() + colon + 1, last, port);
  if (error != std::errc() || end != last) return wrong();
  auto client = http_client::connect(authority.substr(0, colon), port, deadline);
  if (!client) return fail(std::move(client.error()));
  return client->get(slash < url.size() ? url.substr(slash) : "/", deadline);
}

}  // namespace lp::net
