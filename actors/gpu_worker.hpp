// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/peer_link.hpp"
#include "actors/protocol.hpp"
#include "pipelines/catalogue.hpp"
#include "pipelines/device.hpp"
#include "pipelines/model_watch.hpp"
#include "pipelines/safety.hpp"

namespace lp::actors {

struct gpu_worker_options {
  std::string node;
  pipelines::device device;
  std::string device_name;  ///< for a person
  std::uint64_t device_memory = 0;
  std::vector<pipelines::catalogue_entry> models;  ///< what this worker offers
  std::vector<std::string> only{};                 ///< of models that come later; empty: all
  /// Looks for models that come and go; none: the offer stays as it is.
  std::shared_ptr<pipelines::model_watch> watch{};
  std::vector<std::string> warm;   ///< models to load at start and offer as warm
  unsigned slots = 8;              ///< jobs under way at once, stepped in turn
  std::uint64_t model_budget = 0;  ///< bytes for warm models
  std::uint64_t memory_limit = 0;  ///< for models and jobs together; 0: none
  /// Looks at pictures; none: the model's own does, and without that nothing is checked.
  std::shared_ptr<pipelines::safety_classifier> safety;
  /// Called once on the worker's thread before anything is computed there: thread counts of
  /// the numeric libraries belong to a thread.
  std::function<void()> prepare_thread;
  peer_link_options orchestrator;
};

/// Spawns a worker on its node's network thread, which the deputy of net::event_loop stands in for
/// while a step lasts: a short job costs no change of thread, a long one holds up nobody. It joins
/// its orchestrator, loads models through its cache and steps the jobs it was given; results over
/// 256 KiB wait here to be pulled in chunks.
gpu_worker_actor spawn_gpu_worker(caf::actor_system& system, gpu_worker_options options);

}  // namespace lp::actors
