// SPDX-License-Identifier: MIT
#include "actors/orchestrator.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/core.h>

#include "actors/errors.hpp"
#include "actors/worker_pool.hpp"
#include "runtime/base/log.hpp"

namespace lp::actors {

namespace {

// Announcements are coalesced: at load a job would otherwise cost two of them a gateway.
constexpr milliseconds announce_delay{20};
// How often waiting jobs are looked over for passed deadlines.
constexpr milliseconds expiry_tick{250};
constexpr std::chrono::seconds chunk_timeout{10};

struct open_job {
  wire::JobRequest request;
  time_point deadline;
  caf::typed_response_promise<job_result> promise;
  caf::strong_actor_ptr client;  ///< the gateway that sent it
};

struct orchestrator_state : state_base {
  static inline const char* name = "orchestrator";
  orchestrator_options options;
  worker_pool pool{"", 0};
  monitors watched;
  std::map<std::string, gpu_worker_actor> workers;
  std::map<std::string, open_job> jobs;
  std::map<caf::actor_addr, unsigned> clients;  ///< gateways watched, with their open jobs
  std::vector<directory_actor> directories;
  bool announcing = false;
  drained_ptr drained;
};

using self_ptr = orchestrator_actor::stateful_broker_pointer<orchestrator_state>;

void announce_soon(self_ptr self) {
  if (state(self).announcing) return;
  state(self).announcing = true;
  self->delayed_send(self, announce_delay, announce_atom_v);
}

void announce(self_ptr self) {
  orchestrator_state& s = state(self);
  s.announcing = false;
  const announcement a(s.pool.announce(s.options.price_per_unit));
  for (const directory_actor& d : s.directories) send(self, d, announce_atom_v, a);
}

void forget(self_ptr self, const caf::strong_actor_ptr& who) {
  auto& all = state(self).directories;
  const auto gone = caf::actor_cast<directory_actor>(who);
  all.erase(std::remove(all.begin(), all.end(), gone), all.end());
}

void tell_if_drained(self_ptr self) {
  orchestrator_state& s = state(self);
  if (s.drained && s.pool.idle()) std::exchange(s.drained, nullptr)->done();
}

void answer(self_ptr self, const std::string& id, result<wire::JobResult> outcome) {
  orchestrator_state& s = state(self);
  const auto it = s.jobs.find(id);
  if (it == s.jobs.end()) return;
  open_job job = std::move(it->second);
  s.jobs.erase(it);
  s.pool.finish(id);
  const auto client = caf::actor_cast<caf::actor_addr>(job.client);
  if (const auto c = s.clients.find(client); c != s.clients.end()) --c->second;
  if (outcome) {
    outcome->mutable_route()->Add(std::string(s.options.hello.node()));
    job.promise.deliver(job_result(std::move(*outcome)));
  } else {
    job.promise.deliver(to_caf(outcome.error()));
  }
  announce_soon(self);
  tell_if_drained(self);
}

void dispatch(self_ptr self);

void worker_failed(self_ptr self, const std::string& id, const std::string& worker, error why) {
  orchestrator_state& s = state(self);
  if (s.jobs.count(id) == 0) return;
  log::info("orchestrator", "job {} on {}: {}", id, worker, render(why));
  const bool again = worth_another_node(why.code) && s.pool.retry(id);
  if (!again) answer(self, id, fail(std::move(why)));
  dispatch(self);
}

void start(self_ptr self, const assignment& a) {
  orchestrator_state& s = state(self);
  open_job& job = s.jobs.at(a.job);
  const milliseconds left = remaining(job.deadline);
  job.request.set_budget_ms(static_cast<std::uint32_t>(left.count()));
  // The worker keeps the deadline itself; the margin lets its own answer arrive first.
  request(self, s.workers.at(a.worker), left + milliseconds(200), run_atom_v,
          job_request(job.request))
      .then(
          [self, a](job_result& r) {
            answer(self, a.job, std::move(r.value));
            dispatch(self);
          },
          [self, a](const caf::error& e) {
            worker_failed(self, a.job, a.worker, from_caf(e, "the worker"));
          });
}

void dispatch(self_ptr self) {
  while (const auto a = state(self).pool.next()) start(self, *a);
}

void remove_worker(self_ptr self, const std::string& name) {
  orchestrator_state& s = state(self);
  log::info("orchestrator", "worker {} went away", name);
  s.workers.erase(name);
  for (const std::string& id : s.pool.remove(name)) {
    worker_failed(self, id, name, {ec::gone, fmt::format("worker {} went away", name), {}});
  }
  announce_soon(self);
}

void add_worker(self_ptr self, const worker_state& w, const caf::strong_actor_ptr& handle) {
  orchestrator_state& s = state(self);
  const auto worker = caf::actor_cast<gpu_worker_actor>(handle);
  const std::string name = w->node();
  const auto known = s.workers.find(name);
  if (known != s.workers.end() && known->second != worker) remove_worker(self, name);
  if (s.workers.count(name) == 0) {
    log::info("orchestrator", "worker {} joined with {} ({})", name, w->device(), w->device_name());
    s.workers.insert_or_assign(name, worker);
    s.watched.watch(self, worker, [self, name, worker](const caf::error&) {
      const auto it = state(self).workers.find(name);
      if (it != state(self).workers.end() && it->second == worker) remove_worker(self, name);
    });
  }
  s.pool.update(w.value);
  dispatch(self);
  announce_soon(self);
}

void cancel(self_ptr self, const std::string& id) {
  orchestrator_state& s = state(self);
  if (const auto worker = s.pool.finish(id)) {
    if (const auto w = s.workers.find(*worker); w != s.workers.end()) {
      send(self, w->second, cancel_atom_v, id);
    }
  }
  answer(self, id, fail(ec::cancelled, "the job was cancelled"));
  dispatch(self);
}

// A gateway that dies leaves jobs that nobody waits for.
void watch_client(self_ptr self, const caf::strong_actor_ptr& client) {
  orchestrator_state& s = state(self);
  const auto address = caf::actor_cast<caf::actor_addr>(client);
  if (s.clients[address]++ > 0 || !client) return;
  s.watched.watch(self, caf::actor_cast<caf::actor>(client), [self, address](const caf::error&) {
    std::vector<std::string> orphans;
    for (const auto& [id, job] : state(self).jobs) {
      if (caf::actor_cast<caf::actor_addr>(job.client) == address) orphans.push_back(id);
    }
    for (const std::string& id : orphans) cancel(self, id);
    state(self).clients.erase(address);
  });
}

caf::result<job_result> run(self_ptr self, const job_request& r) {
  orchestrator_state& s = state(self);
  const time_point deadline = clock::now() + milliseconds(r->budget_ms());
  pooled_job job{r->id(), r->pipeline(), r->model(), deadline, {}};
  if (auto admitted = s.pool.admit(std::move(job)); !admitted) return to_caf(admitted.error());
  auto promise = self->make_response_promise<job_result>();
  const caf::strong_actor_ptr client = self->current_sender();
  s.jobs[r->id()] = {r.value, deadline, promise, client};
  watch_client(self, client);
  dispatch(self);
  announce_soon(self);
  return promise;
}

// "worker-1/0123...": the worker's name leads to who holds the bytes.
caf::result<chunk> read(self_ptr self, const chunk_request& r) {
  const std::string name = r->blob().substr(0, r->blob().find('/'));
  const auto it = state(self).workers.find(name);
  if (it == state(self).workers.end()) {
    return to_caf({ec::gone, fmt::format("worker {} went away with the result", name), {}});
  }
  auto promise = self->make_response_promise<chunk>();
  request(self, it->second, chunk_timeout, read_atom_v, r)
      .then([promise](chunk& c) mutable { promise.deliver(std::move(c)); },
            [promise](const caf::error& e) mutable {
              promise.deliver(to_caf(from_caf(e, "reading the result")));
            });
  return promise;
}

caf::result<hello> greet(self_ptr self, const hello& theirs) {
  const wire::Hello& ours = state(self).options.hello;
  if (theirs->cluster() != ours.cluster() || theirs->protocol() != ours.protocol()) {
    return to_caf(
        {ec::bad_request,
         fmt::format("this is cluster {} with protocol {}, not {} with {}", ours.cluster(),
                     ours.protocol(), theirs->cluster(), theirs->protocol()),
         {}});
  }
  return hello(ours);
}

void expire(self_ptr self) {
  for (const std::string& id : state(self).pool.expire(clock::now())) {
    answer(self, id,
           fail(ec::deadline_exceeded, "the job's time was over before a worker was free"));
  }
  self->delayed_send(self, expiry_tick, caf::tick_atom_v);
}

}  // namespace

orchestrator_actor spawn_orchestrator(caf::actor_system& system, orchestrator_options options) {
  return spawn_on_network_thread(
      system, [options](self_ptr self) -> orchestrator_actor::behavior_type {
        state(self).options = options;
        state(self).pool = worker_pool(options.hello.node(), options.queue_limit);
        self->delayed_send(self, expiry_tick, caf::tick_atom_v);
        return {
            [self](hello_atom, const hello& theirs) { return greet(self, theirs); },
            [self](watch_atom, const caf::strong_actor_ptr& who) {
              state(self).directories.push_back(caf::actor_cast<directory_actor>(who));
              state(self).watched.watch(self, state(self).directories.back(),
                                        [self, who](const caf::error&) { forget(self, who); });
              announce(self);
            },
            [self](worker_atom, const worker_state& w, const caf::strong_actor_ptr& handle) {
              add_worker(self, w, handle);
            },
            [self](run_atom, const job_request& r) { return run(self, r); },
            [self](cancel_atom, const std::string& id) { cancel(self, id); },
            [self](read_atom, const chunk_request& r) { return read(self, r); },
            [self](drain_atom, const drained_ptr& done) {
              state(self).pool.drain();
              state(self).drained = done;
              announce(self);
              tell_if_drained(self);
            },
            [self](announce_atom) { announce(self); },
            [self](caf::tick_atom) { expire(self); },
        };
      });
}

}  // namespace lp::actors
