// SPDX-License-Identifier: MIT
// Owns a node's actor system: its settings, its types, and its end.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include "net/event_loop.hpp"
#include "net/wire/cluster.pb.h"
#include "runtime/config.hpp"

namespace lp::runtime {

class actor_host {
 public:
  /// Whether a host can be made: ec::bad_config names the TLS file that cannot be used.
  static result<void> check(const config& c);

  explicit actor_host(const config& c);
  actor_host(const actor_host&) = delete;
  actor_host& operator=(const actor_host&) = delete;
  ~actor_host();

  caf::actor_system& system() { return *system_; }
  /// The loop of the node's network thread, until end().
  net::event_loop& loop();

  /// Actors to end when the host ends, in reverse order of this call.
  template <class Handle>
  void own(const Handle& actor) {
    owned_.push_back(caf::actor_cast<caf::actor>(actor));
  }

  /// Publishes an actor; the port it listens on, or ec::bad_config with the system's reason.
  result<std::uint16_t> publish(const caf::actor& actor, const address& where);

  /// Ends every owned actor, waits for each, then ends the system. Idempotent.
  void end();

 private:
  struct settings;

  std::unique_ptr<settings> settings_;
  std::unique_ptr<caf::actor_system> system_;
  std::vector<caf::actor> owned_;
  std::vector<std::pair<caf::actor, std::uint16_t>> published_;
};

/// A node's introduction.
wire::Hello make_hello(const config& c, const std::string& name, const std::string& role);

}  // namespace lp::runtime
