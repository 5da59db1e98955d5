// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "actors/protocol.hpp"
#include "payments/price_list.hpp"

namespace lp::actors {

struct orchestrator_options {
  wire::Hello hello;          ///< who we are; also names the cluster that peers must be of
  unsigned queue_limit = 64;  ///< jobs that may wait for a worker
  /// Announced with the offers; null: free.
  std::shared_ptr<const payments::price_book> prices{};
  /// Check payments; none: jobs are taken without.
  std::vector<ticket_validator_actor> validators{};
};

/// Spawns an orchestrator: it admits jobs, queues them and gives each to one of its workers. A
/// worker's refusal or death sends the job to another worker that offers the model; when none is
/// left the gateway gets the error and may try another orchestrator.
orchestrator_actor spawn_orchestrator(caf::actor_system& system, orchestrator_options options);

}  // namespace lp::actors
