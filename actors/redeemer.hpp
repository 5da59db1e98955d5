// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include <caf/actor_system.hpp>

#include "actors/protocol.hpp"
#include "payments/chain/redeemer.hpp"

namespace lp::actors {

/// Redeems an orchestrator's winning tickets.
using redeemer_actor = typed_actor<
    // Look now: a ticket may have won.
    void(step_atom),
    // To itself.
    void(caf::tick_atom)>;

struct redeemer_options {
  /// Shared so that whatever it needs (ledger, key) can be kept by the pointer's deleter.
  std::shared_ptr<payments::redeemer> worker;
  milliseconds interval{15'000};      ///< between steps while nothing is under way
  milliseconds busy_interval{1'000};  ///< while a transaction is
  milliseconds step_timeout{10'000};  ///< for what one step asks of node and ledger
};

/// On a thread of its own: its steps wait for an Ethereum node.
redeemer_actor spawn_redeemer(caf::actor_system& system, redeemer_options options);

}  // namespace lp::actors
