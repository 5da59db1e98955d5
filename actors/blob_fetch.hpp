// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "actors/protocol.hpp"

namespace lp::actors {

/// Fetches one large file; see spawn_blob_fetch().
using blob_fetch_actor = typed_actor<std::string(read_atom)>;

/// Spawns an actor that pulls the `size` bytes of the file that `what` names (its offset and length
/// mean nothing) from an orchestrator, 256 KiB at a time with four parts under way, and answers
/// read_atom with the whole. It ends after its answer or at the deadline, whichever is first.
blob_fetch_actor spawn_blob_fetch(caf::actor_system& system, orchestrator_actor from,
                                  wire::ChunkRequest what, std::uint64_t size, time_point deadline);

}  // namespace lp::actors
