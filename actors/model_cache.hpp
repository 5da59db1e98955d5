// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "actors/protocol.hpp"
#include "runtime/base/error.hpp"

namespace lp::actors {

struct model_cache_options {
  std::string node;          ///< for log lines
  std::uint64_t budget = 0;  ///< bytes that warm models may hold together
  /// Loads the model of that id; called on a thread of its own; may take minutes.
  std::function<result<model_lease>(const std::string& id)> load;
  /// Bytes that loading the model is thought to take.
  std::function<std::uint64_t(const std::string& id)> estimate;
};

/// Spawns a worker's cache: one load a model however many ask, on threads of their own; a model
/// in use is never dropped, the others are kept within the budget. `owner` is told the warm models
/// whenever their set changes and may use them without asking.
model_cache_actor spawn_model_cache(caf::actor_system& system, caf::strong_actor_ptr owner,
                                    model_cache_options options);

}  // namespace lp::actors
