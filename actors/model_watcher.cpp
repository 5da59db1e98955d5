// SPDX-License-Identifier: MIT
#include "actors/model_watcher.hpp"

#include <algorithm>
#include <exception>

#include "runtime/base/clock.hpp"
#include "runtime/base/log.hpp"

namespace lp::actors {

namespace {

constexpr milliseconds between_looks{1000};
// Looking takes at most a twentieth of the time, be the folder as large and as far away as it may.
constexpr int share = 20;

struct watcher_state : state_base {
  static inline const char* name = "model_watcher";
  gpu_worker_actor worker;
  std::shared_ptr<pipelines::model_watch> watch;
};

using self_ptr = caf::stateful_actor<watcher_state>*;

void look(self_ptr self) {
  const time_point start = clock::now();
  try {
    if (auto view = state(self).watch->look()) {
      send(self, state(self).worker, models_atom_v,
           catalogue_ptr(std::make_shared<pipelines::catalogue_view>(std::move(*view))));
    }
  } catch (const std::exception& e) {
    log::warn("models", "looking for models: {}", e.what());
  }
  const milliseconds took(static_cast<long>(to_ms(clock::now() - start)));
  send_to_itself(self, std::max(between_looks, share * took), caf::tick_atom_v);
}

}  // namespace

caf::actor spawn_model_watcher(caf::actor_system& system, gpu_worker_actor worker,
                               std::shared_ptr<pipelines::model_watch> watch) {
  return system.spawn<caf::detached>([worker, watch](self_ptr self) -> caf::behavior {
    state(self).worker = worker;
    state(self).watch = watch;
    send_to_itself(self, between_looks, caf::tick_atom_v);
    return {[self](caf::tick_atom) { look(self); }};
  });
}

}  // namespace lp::actors
