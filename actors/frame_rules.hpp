// SPDX-License-Identifier: MIT
// Which messages nodes of ours send each other, for frame_check.
#pragma once

#include "actors/frame_check.hpp"

namespace caf {
class actor_system;
}

namespace lp::actors {

/// The rules of a node with that system. A message that a remote handler is added for
/// (protocol.hpp) has to be added there.
frame_rules rules_of(caf::actor_system& system);

}  // namespace lp::actors
