// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "actors/peer_link.hpp"
#include "actors/protocol.hpp"

namespace lp::actors {

/// Spawns a gateway's directory: it holds a peer_link to each orchestrator in `links`, follows
/// their announcements and passes them on to `gateway`, together with the handle to send jobs to.
/// An orchestrator whose link breaks is reported as down at once and comes back by itself.
directory_actor spawn_directory(caf::actor_system& system, gateway_actor gateway,
                                std::vector<peer_link_options> links);

}  // namespace lp::actors
