// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "actors/protocol.hpp"
#include "actors/purse.hpp"
#include "runtime/base/steady_time.hpp"

namespace lp::actors {

/// Spawns a gateway's payer, with a thread of its own for the signatures. It asks orchestrators for
/// their terms when it has none, and pays by them.
payer_actor spawn_payer(caf::actor_system& system, std::shared_ptr<purse> money,
                        std::shared_ptr<steady_time> time);

}  // namespace lp::actors
