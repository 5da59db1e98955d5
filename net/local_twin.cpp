// SPDX-License-Identifier: MIT
#include "net/local_twin.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

namespace lp::net {

namespace {

int open_socket() {
  return ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

// The user that listens, as the kernel noted when it began to.
bool is_trusted(int fd) {
  ucred other{};
  socklen_t size = sizeof other;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &size) != 0) return false;
  return other.uid == ::geteuid() || other.uid == 0;
}

int or_closed(int fd, bool good) {
  if (good) return fd;
  ::close(fd);
  return -1;
}

}  // namespace

std::optional<local_endpoint> local_twin(const boost::asio::ip::tcp::endpoint& where) {
  if (!where.address().is_loopback()) return std::nullopt;
  std::string name(1, '\0');  // abstract: no file, and gone with its last descriptor
  name += fmt::format("lp-runtime/{}:{}", where.address().to_string(), where.port());
  return local_endpoint(name);
}

int listen_locally(const local_endpoint& name) {
  const int fd = open_socket();
  if (fd < 0) return fd;
  return or_closed(fd, ::bind(fd, name.data(), static_cast<socklen_t>(name.size())) == 0 &&
                           ::listen(fd, SOMAXCONN) == 0);
}

int connect_locally(const local_endpoint& name) {
  const int fd = open_socket();
  if (fd < 0) return fd;
  return or_closed(
      fd, ::connect(fd, name.data(), static_cast<socklen_t>(name.size())) == 0 && is_trusted(fd));
}

}  // namespace lp::net
