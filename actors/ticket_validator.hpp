// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "actors/protocol.hpp"
#include "actors/till.hpp"

namespace lp::actors {

/// Spawns a validator with a thread of its own: signatures cost it tens of microseconds each, and
/// the orchestrator nothing. Any number may share one till.
ticket_validator_actor spawn_ticket_validator(caf::actor_system& system,
                                              std::shared_ptr<till> money);

}  // namespace lp::actors
