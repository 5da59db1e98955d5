// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "actors/protocol.hpp"
#include "pipelines/model_watch.hpp"

namespace lp::actors {

/// Spawns an actor on a thread of its own that has `watch` look about once a second, less often
/// where looking takes long, and sends `worker` (models_atom, what is there) at each change.
caf::actor spawn_model_watcher(caf::actor_system& system, gpu_worker_actor worker,
                               std::shared_ptr<pipelines::model_watch> watch);

}  // namespace lp::actors
