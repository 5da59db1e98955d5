// SPDX-License-Identifier: MIT
// Keeps one connection to an orchestrator alive and tells its owner when it comes and goes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "actors/protocol.hpp"

namespace lp::actors {

/// An address as configured.
struct endpoint {
  std::string host;
  std::uint16_t port = 0;
};

struct peer_link_options {
  std::string peer;  ///< name of the orchestrator that must answer there; empty: any
  /// Asked before each try, since a node of the same process may come back on another port.
  std::function<endpoint()> address;
  wire::Hello hello;  ///< who we are
  /// Asked when a node of that name answers; false: it is not the one that is looked for. Any if
  /// empty.
  std::function<bool(const std::string& node)> accepts{};
};

/// Connects asynchronously (a blocking connect to a silent host never returns), exchanges hello,
/// then sends `owner` (link_up_atom, name, orchestrator), again every few seconds, so that the
/// owner says again what the far side may have missed. When that is gone, (link_down_atom, name).
/// Tries again for ever with exponential back-off and jitter, 50 ms to 2 s; why there is no link is
/// told at once and then at growing intervals.
caf::actor spawn_peer_link(caf::actor_system& system, caf::actor owner, peer_link_options options);

}  // namespace lp::actors
