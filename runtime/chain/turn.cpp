// SPDX-License-Identifier: MIT
#include "runtime/chain/turn.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <thread>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/core.h>

namespace lp::runtime {

namespace {

// A name is not waited for as a lock is: it is asked for again.
constexpr milliseconds pause{20};

}  // namespace

// An abstract Unix address: no file, no permissions, and of the network's namespace as the port is.
result<turn> turn::take(std::uint16_t port, time_point deadline) {
  const std::string name = fmt::format("lp-runtime development chain {}", port);
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  std::memcpy(where.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  turn out(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (out.socket_ < 0) return fail(ec::internal, fmt::format("socket: {}", std::strerror(errno)));
  while (::bind(out.socket_, reinterpret_cast<const sockaddr*>(&where), size) != 0) {
    if (errno != EADDRINUSE) {
      return fail(ec::internal, fmt::format("bind: {}", std::strerror(errno)));
    }
    if (clock::now() >= deadline) {
      return fail(
          ec::deadline_exceeded,
          fmt::format("another process is setting up the chain of port {} and does not end", port));
    }
    std::this_thread::sleep_for(std::min(pause, remaining(deadline)));
  }
  return out;
}

turn::~turn() {
  if (socket_ >= 0) ::close(socket_);
}

}  // namespace lp::runtime
