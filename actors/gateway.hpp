// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "actors/protocol.hpp"

namespace lp::actors {

struct gateway_options {
  std::string node;
  std::size_t max_jobs = 256;  ///< submitted and not yet answered; over it busy
  payer_actor payer{};         ///< none: nothing is paid
};

/// Spawns a gateway: for each job it chooses an orchestrator, goes on to the next one when that
/// refuses or dies, pulls large results and answers within the job's deadline, whatever happens.
gateway_actor spawn_gateway(caf::actor_system& system, gateway_options options);

}  // namespace lp::actors
