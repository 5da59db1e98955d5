// SPDX-License-Identifier: MIT
#include "actors/model_cache.hpp"

#include <map>
#include <vector>

#include <fmt/core.h>

#include "actors/errors.hpp"
#include "actors/model_shelf.hpp"
#include "net/wire/convert.hpp"
#include "pipelines/model.hpp"
#include "runtime/base/log.hpp"

namespace lp::actors {

namespace {

using promise = caf::typed_response_promise<model_lease>;

struct cache_state : state_base {
  static inline const char* name = "model_cache";
  model_cache_options options;
  gpu_worker_actor owner;
  model_shelf shelf{0};
  std::map<std::string, std::vector<promise>> waiting;
  std::map<std::string, std::uint64_t> loading;  ///< the number of the load under way
  std::uint64_t loads = 0;
};

using self_ptr = model_cache_actor::stateful_pointer<cache_state>;

void tell_owner(self_ptr self) {
  auto warm = std::make_shared<warm_models>();
  for (const auto& [id, model] : state(self).shelf.warm()) warm->by_id.emplace(id, model);
  warm->bytes = state(self).shelf.bytes();
  send(self, state(self).owner, warm_atom_v, warm_models_ptr(std::move(warm)));
}

using loader_fn = std::function<result<model_lease>(const std::string&)>;

result<model_lease> guarded(const loader_fn& load, const std::string& id) {
  try {
    return load(id);
  } catch (const std::exception& e) {
    return fail(ec::load_failed, e.what());
  }
}

// Loading blocks for seconds to minutes: it has a thread of its own, so that the cache answers.
void start_load(self_ptr self, const std::string& id) {
  const auto load = state(self).options.load;
  const model_cache_actor cache = self;
  self->system().spawn<caf::detached>([load, cache, id](caf::event_based_actor* loader) {
    const time_point start = clock::now();
    const result<model_lease> loaded = guarded(load, id);
    if (loaded) {
      log::info("model_cache", "loaded {} in {:.0f} ms", id, to_ms(clock::now() - start));
      loader->send(cache, loaded_atom_v, id, *loaded, std::string{});
    } else {
      loader->send(cache, loaded_atom_v, id, model_lease{},
                   wire::to_wire(loaded.error()).SerializeAsString());
    }
  });
}

// The loader cannot be stopped, but nobody waits for it any longer.
void expire_load(self_ptr self, const std::string& id, std::uint64_t number) {
  cache_state& s = state(self);
  const auto it = s.loading.find(id);
  if (it == s.loading.end() || it->second != number) return;
  const error late{ec::load_failed,
                   fmt::format("{} has not loaded within {:g} s, which its size allows for", id,
                               to_ms(s.options.timeout(s.options.estimate(id))) / 1000),
                   {}};
  log::error("model_cache", "{}: {}", s.options.node, late.message);
  for (promise& p : std::exchange(s.waiting[id], {})) p.deliver(to_caf(late));
}

caf::result<model_lease> acquire(self_ptr self, const std::string& id) {
  cache_state& s = state(self);
  if (s.options.outdated(id)) {
    log::info("model_cache", "{}: the files of {} were replaced: loading it again", s.options.node,
              id);
    s.shelf.forget(id);
    tell_owner(self);
  }
  auto decision = s.shelf.acquire(id, s.options.estimate(id));
  if (!decision) return to_caf(decision.error());
  using next = model_shelf::decision::next;
  if (decision->what == next::use) return decision->model;
  for (const std::string& out : decision->evicted) {
    log::info("model_cache", "{}: dropped {} to make room for {}", s.options.node, out, id);
  }
  auto p = self->make_response_promise<model_lease>();
  s.waiting[id].push_back(p);
  if (decision->what == next::load) {
    if (decision->again) log::warn("model_cache", "{}: loading {} anew", s.options.node, id);
    start_load(self, id);
    s.loading[id] = ++s.loads;
    send_to_itself(self, s.options.timeout(s.options.estimate(id)), late_atom_v, id, s.loads);
    if (decision->again || !decision->evicted.empty()) tell_owner(self);
  }
  return p;
}

void shrink(self_ptr self, std::uint64_t bytes) {
  const auto dropped = state(self).shelf.shrink(bytes);
  for (const std::string& out : dropped) {
    log::info("model_cache", "{}: dropped {} to make room for a job", state(self).options.node,
              out);
  }
  if (!dropped.empty()) tell_owner(self);
}

void finish_load(self_ptr self, const std::string& id, const model_lease& model,
                 const std::string& reason) {
  cache_state& s = state(self);
  s.loading.erase(id);
  std::vector<promise> waiting = std::move(s.waiting[id]);
  s.waiting.erase(id);
  if (!model) {
    wire::Error why;
    why.ParseFromString(reason);
    log::error("model_cache", "{}: cannot load {}: {}", s.options.node, id, why.message());
    s.shelf.load_failed(id);
    const error e{ec::load_failed, fmt::format("cannot load {}: {}", id, why.message()), {}};
    for (promise& p : waiting) p.deliver(to_caf(e));
    return;
  }
  for (const std::string& out : s.shelf.loaded(id, model, model->bytes())) {
    log::info("model_cache", "{}: dropped {} to make room for {}", s.options.node, out, id);
  }
  for (promise& p : waiting) p.deliver(model);
  tell_owner(self);
}

}  // namespace

model_cache_actor spawn_model_cache(caf::actor_system& system, caf::strong_actor_ptr owner,
                                    model_cache_options options) {
  return system.spawn([owner, options](self_ptr self) -> model_cache_actor::behavior_type {
    state(self).owner = caf::actor_cast<gpu_worker_actor>(owner);
    state(self).shelf = model_shelf(options.budget);
    state(self).options = options;
    return {
        [self](acquire_atom, const std::string& id) { return acquire(self, id); },
        [self](used_atom, const std::string& id) { state(self).shelf.used(id); },
        [self](shrink_atom, std::uint64_t bytes) { shrink(self, bytes); },
        [self](late_atom, const std::string& id, std::uint64_t number) {
          expire_load(self, id, number);
        },
        [self](loaded_atom, const std::string& id, const model_lease& model,
               const std::string& reason) { finish_load(self, id, model, reason); },
    };
  });
}

}  // namespace lp::actors
