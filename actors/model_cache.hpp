// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "actors/protocol.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::actors {

/// How long a load may take: a minute, and the time for its bytes from a slow disk (20 MB/s).
inline milliseconds load_timeout(std::uint64_t bytes) {
  constexpr std::uint64_t slow_bytes_a_ms = 20'000;
  return milliseconds(60'000 + bytes / slow_bytes_a_ms);
}

struct model_cache_options {
  std::string node;          ///< for log lines
  std::uint64_t budget = 0;  ///< bytes that warm models may hold together
  /// Loads the model of that id; called on a thread of its own; may take minutes.
  std::function<result<model_lease>(const std::string& id)> load;
  /// Whether the model's files are others than when it was loaded: it is loaded again then.
  std::function<bool(const std::string& id)> outdated = [](const std::string&) { return false; };
  /// Bytes that loading the model is thought to take.
  std::function<std::uint64_t(const std::string& id)> estimate;
  /// How long a load of so many bytes may take.
  std::function<milliseconds(std::uint64_t bytes)> timeout = load_timeout;
};

/// Spawns a worker's cache: one load a model however many ask, on threads of their own; a model
/// in use is never dropped, the others are kept within the budget. `owner` is told the warm models
/// whenever their set changes and may use them without asking. A load that takes longer than its
/// timeout is told as failed to those who wait; its model is kept if it comes all the same.
model_cache_actor spawn_model_cache(caf::actor_system& system, caf::strong_actor_ptr owner,
                                    model_cache_options options);

}  // namespace lp::actors
