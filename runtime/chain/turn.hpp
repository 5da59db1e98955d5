// SPDX-License-Identifier: MIT
// One process at a time sets up the development chain of a port.
#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::runtime {

/// Held from take() to the end of its life; the kernel takes it back from a process that dies.
class turn {
 public:
  /// Waits for the others of this host (more exactly: network namespace, as ports are).
  /// ec::deadline_exceeded.
  static result<turn> take(std::uint16_t port, time_point deadline);
  turn(turn&& other) noexcept : socket_(other.socket_) { other.socket_ = -1; }
  turn& operator=(turn&&) = delete;
  turn(const turn&) = delete;
  turn& operator=(const turn&) = delete;
  ~turn();

 private:
  explicit turn(int socket) : socket_(socket) {}
  int socket_;
};

}  // namespace lp::runtime
