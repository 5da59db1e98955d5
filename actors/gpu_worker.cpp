// SPDX-License-Identifier: MIT
#include "actors/gpu_worker.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/core.h>
#include <boost/json/parse.hpp>

#include "actors/blob_fetch.hpp"
#include "actors/errors.hpp"
#include "actors/input_packing.hpp"
#include "actors/memory_gate.hpp"
#include "actors/model_cache.hpp"
#include "actors/model_source.hpp"
#include "actors/model_watcher.hpp"
#include "actors/network_backend.hpp"
#include "actors/picture_decoder.hpp"
#include "actors/result_packing.hpp"
#include "actors/run_queue.hpp"
#include "actors/terms.hpp"
#include "net/media_store.hpp"
#include "pipelines/description.hpp"
#include "runtime/base/log.hpp"

namespace lp::actors {

namespace {

// Results that nobody pulled are dropped after this time.
constexpr std::chrono::minutes blob_life{5};
constexpr std::uint64_t blob_budget = 1ULL << 30;
// A gateway bounds its requests; this guards against one that does not.
constexpr std::uint64_t longest_input = 1ULL << 30;
// Loads are not bound to the job that asked first: the next one profits from them. How long one may
// take is the cache's to say; this is beyond any of that.
constexpr std::chrono::minutes warm_up_timeout{24 * 60};

struct active_job {
  wire::JobRequest request;
  time_point deadline;
  time_point started;
  double load_ms = 0;
  orchestrator_actor client;  ///< who gets the result
  model_lease lease;
  pipelines::job_input input;  ///< until the run begins
  int fetching = 0;            ///< files still being pulled
  cancel_token stop_decoding;  ///< of its files
  bool check_safety = false;
};

struct worker_state_t : state_base {
  static inline const char* name = "gpu_worker";
  gpu_worker_options options;
  model_cache_actor cache;
  std::shared_ptr<model_source> source;
  caf::actor link;
  orchestrator_actor orchestrator;
  run_queue runs;
  memory_gate gate;
  std::map<std::string, active_job> jobs;
  net::media_store blobs{{blob_budget, 1024, blob_life}};
  warm_models_ptr warm = std::make_shared<warm_models>();
  std::vector<pipelines::coming_model> coming;
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
  for (const pipelines::coming_model& c : s.coming) {
    wire::ComingModel& told = *w.add_coming();
    told.set_model(c.model);
    told.set_why(c.why);
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

// Who looks at the job's pictures, if it asked for that: the operator's choice before the model's.
std::shared_ptr<pipelines::safety_classifier> checker_of(const worker_state_t& s,
                                                         const active_job& job) {
  if (!job.check_safety) return nullptr;
  if (s.options.safety) return s.options.safety;
  return job.lease ? job.lease->safety() : nullptr;
}

// `done`: which part of a cancelled job was done.
void finish(self_ptr self, const std::string& id, result<pipelines::output> outcome,
            double done = 0) {
  worker_state_t& s = state(self);
  const auto it = s.jobs.find(id);
  if (it == s.jobs.end()) return;
  active_job job = std::move(it->second);
  s.jobs.erase(it);
  s.gate.leave(id);
  job.stop_decoding.cancel();
  const auto checker = outcome ? checker_of(s, job) : nullptr;
  if (checker) {
    network_loop(self->system()).long_work([&] {
      if (auto ok = pipelines::check_safety(*checker, *outcome); !ok) {
        outcome = fail(std::move(ok.error()));
      }
    });
  }
  result<wire::JobResult> packed =
      outcome ? pack_result(job.request, std::move(*outcome), {s.options.node, job.load_ms},
                            s.blobs, clock::now())
              : fail(std::move(outcome.error()));
  if (!packed && job.lease && packed.error().code == ec::load_failed) {
    log::error("gpu_worker", "{}: {}: {}", s.options.node, job.request.model(),
               packed.error().message);
  }
  if (packed) {
    if (checker) packed->set_checked_by(checker->name());
    send(self, job.client, done_atom_v, job_result(std::move(*packed)));
  } else {
    auto failure = make_failure(id, packed.error());
    if (packed.error().code == ec::cancelled) {
      failure.set_units(done * static_cast<double>(units_of(job.request).value_or(0)));
    }
    send(self, job.client, failed_atom_v, job_failure(std::move(failure)));
  }
  if (s.drained && s.jobs.empty()) std::exchange(s.drained, nullptr)->done();
}

// Foresees the memory of the job.
result<pipelines::memory_need> foresee(const active_job& job) {
  try {
    return job.lease->memory_for(job.input);
  } catch (const std::bad_alloc&) {
    return fail(ec::out_of_memory, "the device's memory did not suffice for this job's files");
  } catch (const std::exception& e) {
    return fail(ec::pipeline_failed, e.what());
  }
}

result<std::unique_ptr<pipelines::run>> start_run(active_job& job) {
  try {
    const pipelines::job_input input = std::move(job.input);
    return job.lease->start(input);
  } catch (const std::bad_alloc&) {
    return fail(ec::out_of_memory, "the device's memory did not suffice to begin this job");
  } catch (const std::exception& e) {
    return fail(ec::pipeline_failed, e.what());
  }
}

// The job's memory is reserved: its run begins.
void run_now(self_ptr self, const std::string& id, bool lean) {
  worker_state_t& s = state(self);
  active_job& job = s.jobs.at(id);
  job.input.lean = lean;
  result<std::unique_ptr<pipelines::run>> run = fail(ec::internal, "not prepared");
  network_loop(self->system()).long_work([&] { run = start_run(job); });
  if (!run) return finish(self, id, fail(std::move(run.error())));
  s.runs.add(id, std::move(*run), job.deadline);
}

// Jobs that waited for memory: those that have room now begin, those whose time is over end.
void admit_waiting(self_ptr self) {
  worker_state_t& s = state(self);
  while (const auto late = s.gate.expired(clock::now())) {
    finish(self, *late,
           fail(ec::deadline_exceeded, "the job's time was over while it waited for memory"));
  }
  while (const auto next = s.gate.next(s.warm->bytes)) run_now(self, next->id, next->lean);
}

// A step may take long: the node's connections are looked after meanwhile.
void step(self_ptr self) {
  worker_state_t& s = state(self);
  s.stepping = false;
  std::optional<run_queue::ended> ended;
  network_loop(self->system()).long_work([&] { ended = s.runs.step(clock::now()); });
  if (ended) finish(self, ended->id, std::move(ended->outcome));
  if (s.gate.waiting() > 0) admit_waiting(self);
  keep_stepping(self);
}

// Whether the job may begin now; one that never could is refused with the size that would fit.
void admit(self_ptr self, const std::string& id, const pipelines::memory_need& need) {
  worker_state_t& s = state(self);
  const active_job& job = s.jobs.at(id);
  auto verdict = s.gate.enter(id, need, s.warm->bytes, job.deadline);
  if (!verdict) {
    error why = std::move(verdict.error());
    const std::string fits = job.lease->what_fits(job.input, s.gate.most_for(need.weights));
    if (!fits.empty()) why.message += "; what would fit: " + fits;
    return finish(self, id, fail(std::move(why)));
  }
  if (const auto room = s.gate.for_models(); s.warm->bytes > room) {
    send(self, s.cache, shrink_atom_v, room);
  }
  if (*verdict == memory_verdict::wait) return;
  run_now(self, id, *verdict == memory_verdict::start_lean);
}

void begin(self_ptr self, const std::string& id, const model_lease& lease) {
  worker_state_t& s = state(self);
  const auto it = s.jobs.find(id);
  if (it == s.jobs.end()) return;  // cancelled while its model was loading
  active_job& job = it->second;
  job.lease = lease;
  job.load_ms = to_ms(clock::now() - job.started);
  result<pipelines::memory_need> need = fail(ec::internal, "not prepared");
  network_loop(self->system()).long_work([&] { need = foresee(job); });
  if (!need) return finish(self, id, fail(std::move(need.error())));
  admit(self, id, *need);
  // The first step at once: a job of one step then costs no further message.
  if (!s.stepping) step(self);
}

// A warm model is taken as it is: asking the cache would cost every job two changes of thread. The
// cache hears of it where that changes the order of use.
model_lease take_warm(self_ptr self, const std::string& id) {
  worker_state_t& s = state(self);
  const auto it = s.warm->by_id.find(id);
  model_lease lease = it == s.warm->by_id.end() ? nullptr : it->second.lock();
  if (lease && !lease->usable()) return nullptr;  // the cache loads it anew
  bool outdated = false;
  if (lease) network_loop(self->system()).long_work([&] { outdated = s.source->is_outdated(id); });
  if (outdated) return nullptr;
  if (lease && s.last_used != id) {
    s.last_used = id;
    send(self, s.cache, used_atom_v, id);
  }
  return lease;
}

// The job's input is ready: now its model.
void take_model(self_ptr self, const std::string& id) {
  worker_state_t& s = state(self);
  const active_job& job = s.jobs.at(id);
  const std::string model = job.request.model();
  if (const model_lease lease = take_warm(self, model)) return begin(self, id, lease);
  s.last_used = model;
  request(self, s.cache, remaining(job.deadline) + milliseconds(1), acquire_atom_v, model)
      .then([self, id](const model_lease& lease) { begin(self, id, lease); },
            [self, id, model](const caf::error& e) {
              error why = from_caf(e, "loading the model");
              const std::string pulled = state(self).source->progress(model);
              if (!pulled.empty()) {
                why.message = fmt::format("{} is not here yet: {}; ask again", model, pulled);
              }
              finish(self, id, fail(std::move(why)));
            });
}

// The job's parameters and files, for the decoder.
result<decoding_ptr> unpack(active_job& job) {
  boost::system::error_code bad;
  boost::json::value params = boost::json::parse(job.request.params_json(), bad);
  if (bad || !params.is_object()) {
    return fail(ec::bad_request, "the job's parameters are not a JSON object");
  }
  auto out = std::make_shared<decoding>();
  out->pipeline = pipelines::find(job.request.pipeline());
  if (out->pipeline == nullptr) return fail(ec::not_found, "there is no such pipeline");
  out->input.params = std::move(params.as_object());
  job.check_safety = pipelines::asks_for_check(out->input.params);
  for (wire::Attachment& a : *job.request.mutable_attachments()) out->files.push_back(std::move(a));
  job.request.clear_attachments();
  job.stop_decoding = out->stop;
  return out;
}

// Everything the job brings is here. Its files are a stranger's: what they cost is spent on another
// thread.
void read_input(self_ptr self, const std::string& id) {
  active_job& job = state(self).jobs.at(id);
  auto what = unpack(job);
  if (!what) return finish(self, id, fail(std::move(what.error())));
  if ((*what)->files.empty()) {
    if (auto ok = decode_files(**what); !ok) return finish(self, id, fail(std::move(ok.error())));
    job.input = std::move((*what)->input);
    return take_model(self, id);
  }
  request(self, spawn_picture_decoder(self->system()), remaining(job.deadline) + milliseconds(1),
          read_atom_v, *what)
      .then(
          [self, id](const decoding_ptr& d) {
            const auto it = state(self).jobs.find(id);
            if (it == state(self).jobs.end()) return;  // cancelled meanwhile
            it->second.input = std::move(d->input);
            take_model(self, id);
          },
          [self, id](const caf::error& e) {
            finish(self, id, fail(from_caf(e, "decoding the job's files")));
          });
}

void fetch(self_ptr self, const std::string& id, int index) {
  active_job& job = state(self).jobs.at(id);
  wire::ChunkRequest what;
  what.set_job(id);
  what.set_input(static_cast<std::uint32_t>(index));
  const auto fetcher = spawn_blob_fetch(self->system(), job.client, std::move(what),
                                        job.request.attachments(index).size(), job.deadline);
  ++job.fetching;
  request(self, fetcher, remaining(job.deadline) + milliseconds(1), read_atom_v)
      .then(
          [self, id, index](std::string& bytes) {
            const auto it = state(self).jobs.find(id);
            if (it == state(self).jobs.end()) return;  // cancelled meanwhile
            it->second.request.mutable_attachments(index)->set_data(std::move(bytes));
            if (--it->second.fetching == 0) read_input(self, id);
          },
          [self, id](const caf::error& e) {
            finish(self, id, fail(from_caf(e, "reading the job's files")));
          });
}

std::uint64_t files_size(const wire::JobRequest& r) {
  std::uint64_t sum = 0;
  for (const wire::Attachment& a : r.attachments()) sum += a.size();
  return sum;
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
  if (files_size(r.value) > longest_input) return refuse(ec::too_large, "was sent too much");
  const time_point now = clock::now();
  const milliseconds budget{r->budget_ms()};
  active_job& job = s.jobs[id];
  job.request = std::move(r.value);
  job.started = now;
  job.deadline = now + budget;
  job.client = client;
  for (int i = 0; i < job.request.attachments_size(); ++i) {
    if (is_elsewhere(job.request.attachments(i))) fetch(self, id, i);
  }
  if (job.fetching == 0) read_input(self, id);
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
  const auto source = state(self).source = std::make_shared<model_source>(o.models, o.device);
  c.load = [source](const std::string& id) { return source->load(id); };
  c.outdated = [source](const std::string& id) { return source->is_outdated(id); };
  c.estimate = [source](const std::string& id) { return source->estimate(id); };
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
  const double done = state(self).runs.cancel(id).value_or(0);
  finish(self, id, fail(ec::cancelled, "the job was cancelled"), done);
  if (state(self).gate.waiting() > 0) {
    admit_waiting(self);
    keep_stepping(self);
  }
}

void drain(self_ptr self, const drained_ptr& done) {
  state(self).draining = true;
  state(self).drained = done;
  tell_orchestrator(self);
  if (state(self).jobs.empty()) std::exchange(state(self).drained, nullptr)->done();
}

// Models came or went. Those that are loaded stay so until their room is needed.
void take_models(self_ptr self, const pipelines::catalogue_view& found) {
  worker_state_t& s = state(self);
  const auto& only = s.options.only;
  const auto wanted = [&](const std::string& model) {
    return only.empty() || std::find(only.begin(), only.end(), model) != only.end();
  };
  s.options.models.clear();
  s.coming.clear();
  for (const auto& e : found.entries) {
    if (wanted(e.model)) s.options.models.push_back(e);
  }
  for (const auto& c : found.coming) {
    if (wanted(c.model)) s.coming.push_back(c);
  }
  s.source->replace(s.options.models);
  tell_orchestrator(self);
}

void start(self_ptr self) {
  worker_state_t& s = state(self);
  s.gate = memory_gate(s.options.memory_limit);
  if (s.options.prepare_thread) network_loop(self->system()).long_work(s.options.prepare_thread);
  s.cache = make_cache(self);
  if (s.options.watch) {
    self->link_to(spawn_model_watcher(
        self->system(), caf::actor_cast<gpu_worker_actor>(own_handle(self)), s.options.watch));
  }
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
            [self](models_atom, const catalogue_ptr& found) { take_models(self, *found); },
            [self](drain_atom, const drained_ptr& done) { drain(self, done); },
        };
      });
}

}  // namespace lp::actors
