// SPDX-License-Identifier: MIT
#include "actors/gpu_worker.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/core.h>
#include <boost/json/parse.hpp>

#include "actors/errors.hpp"
#include "actors/model_cache.hpp"
#include "actors/network_backend.hpp"
#include "actors/result_packing.hpp"
#include "actors/run_queue.hpp"
#include "net/media_store.hpp"
#include "pipelines/description.hpp"
#include "runtime/base/log.hpp"

namespace lp::actors {

namespace {

// Results that nobody pulled are dropped after this time.
constexpr std::chrono::minutes blob_life{5};
constexpr std::uint64_t blob_budget = 1ULL << 30;
// Loads are not bound to the job that asked first: the next one profits from them.
constexpr std::chrono::minutes warm_up_timeout{30};

struct active_job {
  wire::JobRequest request;
  time_point deadline;
  time_point started;
  double load_ms = 0;
  orchestrator_actor client;  ///< who gets the result
  model_lease lease;
};

struct worker_state_t : state_base {
  static inline const char* name = "gpu_worker";
  gpu_worker_options options;
  model_cache_actor cache;
  caf::actor link;
  orchestrator_actor orchestrator;
  run_queue runs;
  std::map<std::string, active_job> jobs;
  net::media_store blobs{{blob_budget, 1024, blob_life}};
  warm_models_ptr warm = std::make_shared<warm_models>();
  std::string last_used;
  bool stepping = false;
  bool draining = false;
  drained_ptr drained;  ///< told once, when the last job is answered
};

using self_ptr = gpu_worker_actor::stateful_broker_pointer<worker_state_t>;

worker_state present_state(self_ptr self) {
  const worker_state_t& s = state(self);
  wire::WorkerState w;
  w.set_node(s.options.node);
  w.set_device(s.options.device.name());
  w.set_device_name(s.options.device_name);
  w.set_memory_bytes(s.options.device_memory);
  w.set_slots(s.options.slots);
  w.set_running(static_cast<std::uint32_t>(s.jobs.size()));
  w.set_model_bytes(s.warm->bytes);
  w.set_draining(s.draining);
  for (const pipelines::catalogue_entry& m : s.options.models) {
    wire::Offer& o = *w.add_offers();
    o.set_pipeline(m.pipeline);
    o.set_model(m.model);
    o.set_is_default(m.is_default);
    o.set_warm(s.warm->by_id.count(m.model) > 0);
  }
  return w;
}

void tell_orchestrator(self_ptr self) {
  if (state(self).orchestrator) {
    send(self, state(self).orchestrator, worker_atom_v, present_state(self), own_handle(self));
  }
}

void keep_stepping(self_ptr self) {
  worker_state_t& s = state(self);
  if (s.stepping || s.runs.empty()) return;
  s.stepping = true;
  send_after_others(self, caf::actor_cast<gpu_worker_actor>(own_handle(self)), step_atom_v);
}

void finish(self_ptr self, const std::string& id, result<pipelines::output> outcome) {
  worker_state_t& s = state(self);
  const auto it = s.jobs.find(id);
  if (it == s.jobs.end()) return;
  active_job job = std::move(it->second);
  s.jobs.erase(it);
  result<wire::JobResult> packed =
      outcome ? pack_result(job.request, std::move(*outcome), {s.options.node, job.load_ms},
                            s.blobs, clock::now())
              : fail(std::move(outcome.error()));
  if (packed) {
    send(self, job.client, done_atom_v, job_result(std::move(*packed)));
  } else {
    send(self, job.client, failed_atom_v, job_failure(make_failure(id, packed.error())));
  }
  if (s.drained && s.jobs.empty()) std::exchange(s.drained, nullptr)->done();
}

result<std::unique_ptr<pipelines::run>> prepare(const active_job& job) {
  boost::system::error_code bad;
  boost::json::value params = boost::json::parse(job.request.params_json(), bad);
  if (bad || !params.is_object()) {
    return fail(ec::bad_request, "the job's parameters are not a JSON object");
  }
  pipelines::job_input input;
  input.params = std::move(params.as_object());
  for (const wire::Attachment& a : job.request.attachments()) {
    input.attachments.push_back({a.field(), a.mime(), share(a.data())});
  }
  try {
    return job.lease->start(input);
  } catch (const std::exception& e) {
    return fail(ec::pipeline_failed, e.what());
  }
}

// A step may take long: the node's connections are looked after meanwhile.
void step(self_ptr self) {
  worker_state_t& s = state(self);
  s.stepping = false;
  std::optional<run_queue::ended> ended;
  network_loop(self->system()).long_work([&] { ended = s.runs.step(clock::now()); });
  if (ended) finish(self, ended->id, std::move(ended->outcome));
  keep_stepping(self);
}

void begin(self_ptr self, const std::string& id, const model_lease& lease) {
  worker_state_t& s = state(self);
  const auto it = s.jobs.find(id);
  if (it == s.jobs.end()) return;  // cancelled while its model was loading
  active_job& job = it->second;
  job.lease = lease;
  job.load_ms = to_ms(clock::now() - job.started);
  result<std::unique_ptr<pipelines::run>> run = fail(ec::internal, "not prepared");
  network_loop(self->system()).long_work([&] { run = prepare(job); });
  if (!run) return finish(self, id, fail(std::move(run.error())));
  s.runs.add(id, std::move(*run), job.deadline);
  // The first step at once: a job of one step then costs no further message.
  if (!s.stepping) step(self);
}

// A warm model is taken as it is: asking the cache would cost every job two changes of thread. The
// cache hears of it where that changes the order of use.
model_lease take_warm(self_ptr self, const std::string& id) {
  worker_state_t& s = state(self);
  const auto it = s.warm->by_id.find(id);
  model_lease lease = it == s.warm->by_id.end() ? nullptr : it->second.lock();
  if (lease && s.last_used != id) {
    s.last_used = id;
    send(self, s.cache, used_atom_v, id);
  }
  return lease;
}

void accept(self_ptr self, job_request& r) {
  worker_state_t& s = state(self);
  const std::string& node = s.options.node;
  const std::string id = r->id();
  const auto client = caf::actor_cast<orchestrator_actor>(self->current_sender());
  const auto refuse = [&](ec code, const char* why) {
    const error e{code, fmt::format("worker {} {}", node, why), {}};
    send(self, client, failed_atom_v, job_failure(make_failure(id, e)));
  };
  if (!client) return;
  if (s.draining) return refuse(ec::draining, "is stopping");
  if (s.jobs.size() >= s.options.slots) return refuse(ec::busy, "has no free slot");
  const time_point now = clock::now();
  const milliseconds budget{r->budget_ms()};
  const std::string model = r->model();
  active_job& job = s.jobs[id];
  job.request = std::move(r.value);
  job.started = now;
  job.deadline = now + budget;
  job.client = client;
  if (const model_lease lease = take_warm(self, model)) return begin(self, id, lease);
  s.last_used = model;
  request(self, s.cache, budget, acquire_atom_v, model)
      .then([self, id](const model_lease& lease) { begin(self, id, lease); },
            [self, id](const caf::error& e) {
              finish(self, id, fail(from_caf(e, "loading the model")));
            });
}

caf::result<chunk> read(self_ptr self, const chunk_request& r) {
  auto part = read_blob(r.value, state(self).blobs, clock::now());
  if (!part) return to_caf(part.error());
  return chunk(std::move(*part));
}

model_cache_actor make_cache(self_ptr self) {
  const gpu_worker_options& o = state(self).options;
  model_cache_options c;
  c.node = o.node;
  c.budget = o.model_budget;
  c.load = [entries = o.models, device = o.device](const std::string& id) -> result<model_lease> {
    for (const pipelines::catalogue_entry& m : entries) {
      if (m.model == id) return pipelines::find(m.pipeline)->load(m.folder, device);
    }
    return fail(ec::not_found, fmt::format("this worker does not offer {}", id));
  };
  c.estimate = [entries = o.models](const std::string& id) -> std::uint64_t {
    for (const pipelines::catalogue_entry& m : entries) {
      if (m.model == id) return pipelines::weight_bytes(m.folder);
    }
    return 0;
  };
  return spawn_model_cache(self->system(), own_handle(self), std::move(c));
}

void warm_up(self_ptr self) {
  for (const std::string& id : state(self).options.warm) {
    // The lease is dropped at once; the model stays until its room is needed.
    request(self, state(self).cache, warm_up_timeout, acquire_atom_v, id)
        .then([](const model_lease&) {},
              [id](const caf::error& e) {
                log::error("gpu_worker", "cannot warm up {}: {}", id,
                           render(from_caf(e, "loading the model")));
              });
  }
}

void cancel(self_ptr self, const std::string& id) {
  state(self).runs.cancel(id);
  finish(self, id, fail(ec::cancelled, "the job was cancelled"));
}

void drain(self_ptr self, const drained_ptr& done) {
  state(self).draining = true;
  state(self).drained = done;
  tell_orchestrator(self);
  if (state(self).jobs.empty()) std::exchange(state(self).drained, nullptr)->done();
}

void start(self_ptr self) {
  worker_state_t& s = state(self);
  if (s.options.prepare_thread) network_loop(self->system()).long_work(s.options.prepare_thread);
  s.cache = make_cache(self);
  s.link = spawn_peer_link(self->system(), caf::actor_cast<caf::actor>(own_handle(self)),
                           s.options.orchestrator);
  // The helpers end with the worker.
  self->link_to(s.cache);
  self->link_to(s.link);
  warm_up(self);
}

}  // namespace

gpu_worker_actor spawn_gpu_worker(caf::actor_system& system, gpu_worker_options options) {
  return spawn_on_network_thread(
      system, [options](self_ptr self) -> gpu_worker_actor::behavior_type {
        state(self).options = options;
        start(self);
        return {
            [self](run_atom, job_request& r) { accept(self, r); },
            [self](cancel_atom, const std::string& id) { cancel(self, id); },
            [self](read_atom, const chunk_request& r) { return read(self, r); },
            [self](step_atom) { step(self); },
            [self](link_up_atom, const std::string&, const caf::strong_actor_ptr& orchestrator) {
              state(self).orchestrator = caf::actor_cast<orchestrator_actor>(orchestrator);
              tell_orchestrator(self);
            },
            [self](link_down_atom, const std::string&) {
              state(self).orchestrator = orchestrator_actor{};
            },
            [self](warm_atom, const warm_models_ptr& warm) {
              state(self).warm = warm;
              tell_orchestrator(self);
            },
            [self](drain_atom, const drained_ptr& done) { drain(self, done); },
        };
      });
}

}  // namespace lp::actors
