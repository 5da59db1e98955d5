// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "actors/protocol.hpp"
#include "actors/till.hpp"
#include "runtime/base/steady_time.hpp"

namespace lp::actors {

/// Spawns a validator with a thread of its own: signatures cost it tens of microseconds each, and
/// the orchestrator nothing. Any number may share one till and its time.
ticket_validator_actor spawn_ticket_validator(caf::actor_system& system,
                                              std::shared_ptr<till> money,
                                              std::shared_ptr<steady_time> time);

}  // namespace lp::actors
