// SPDX-License-Identifier: MIT
#include "actors/orchestrator.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/core.h>

#include "actors/errors.hpp"
#include "actors/membership.hpp"
#include "actors/network_backend.hpp"
#include "actors/worker_pool.hpp"
#include "net/wire/convert.hpp"
#include "runtime/base/log_limit.hpp"

namespace lp::actors {

namespace {

// Announcements are coalesced: at load a job would otherwise cost two of them a gateway.
constexpr milliseconds announce_delay{20};
// How often jobs are looked over for passed deadlines.
constexpr milliseconds expiry_tick{100};
// A worker answers by the deadline it was given; the margin lets that answer arrive.
constexpr milliseconds worker_margin{150};
constexpr std::chrono::seconds chunk_timeout{10};
constexpr std::chrono::seconds terms_timeout{5};
// Jobs whose payment is being checked; over it busy.
constexpr std::size_t most_validating = 1024;
// A step of a pipeline is over by then, and with it the job that was cancelled.
constexpr std::chrono::seconds settling_time{30};

struct open_job {
  wire::JobRequest request;
  time_point deadline;
  gateway_actor client;     ///< who gets the result
  gpu_worker_actor worker;  ///< who runs it; none while it waits
  std::string payer;        ///< the till's name for it; empty: free
};

// A job that was cancelled: its worker still tells how much of it was done.
struct ending_job {
  gateway_actor client;
  gpu_worker_actor worker;
  std::string payer;
  time_point until;
};

struct orchestrator_state : state_base {
  static inline const char* name = "orchestrator";
  orchestrator_options options;
  worker_pool pool{"", 0};
  monitors watched;
  std::map<std::string, gpu_worker_actor> workers;
  std::map<std::string, open_job> jobs;
  std::map<std::string, gateway_actor> validating;  ///< jobs whose payment is being checked
  std::map<std::string, ending_job> ending;
  std::size_t next_validator = 0;
  std::set<caf::actor_addr> clients;  ///< gateways watched
  membership members;
  std::vector<directory_actor> directories;
  bool announcing = false;
  drained_ptr drained;
};

using self_ptr = orchestrator_actor::stateful_broker_pointer<orchestrator_state>;

std::string key_of(const caf::node_id& node) {
  return caf::to_string(node);
}

// Who has not introduced itself, or is forgotten because its link broke, is to begin anew.
bool is_member(self_ptr self, const caf::strong_actor_ptr& who, const std::string& name = {}) {
  if (!who) return false;
  const auto known = state(self).members.name_of(key_of(who->node()));
  if (known && (name.empty() || *known == name)) return true;
  log::sparingly(log::level::warn, "orchestrator", "stranger" + name,
                 "{}: {} has not introduced itself{}: the connection is closed",
                 state(self).options.hello.node(), address_of(self->system(), who->node()),
                 name.empty() ? std::string() : fmt::format(" as {}", name));
  disconnect(self->system(), who->node());
  return false;
}

void announce_soon(self_ptr self) {
  if (state(self).announcing) return;
  state(self).announcing = true;
  send_to_itself(self, announce_delay, announce_atom_v);
}

void announce(self_ptr self) {
  orchestrator_state& s = state(self);
  s.announcing = false;
  const auto prices = s.options.prices ? s.options.prices->current() : nullptr;
  const announcement a(s.pool.announce([&](const std::string& pipeline, const std::string& model) {
    const auto price = prices ? prices->find(pipeline, model) : std::nullopt;
    if (!price) return std::string();  // its currency has no rate at present
    return *price ? payments::to_text(**price) : std::string("0");
  }));
  for (const directory_actor& d : s.directories) send(self, d, announce_atom_v, a);
}

void forget(self_ptr self, const caf::strong_actor_ptr& who) {
  auto& all = state(self).directories;
  const auto gone = caf::actor_cast<directory_actor>(who);
  all.erase(std::remove(all.begin(), all.end(), gone), all.end());
}

// Asked again and again, in case that it did not arrive.
void watch_directory(self_ptr self, const caf::strong_actor_ptr& who) {
  orchestrator_state& s = state(self);
  const auto directory = caf::actor_cast<directory_actor>(who);
  if (std::find(s.directories.begin(), s.directories.end(), directory) != s.directories.end()) {
    return announce_soon(self);
  }
  s.directories.push_back(directory);
  s.watched.watch(self, directory, [self, who](const caf::error&) { forget(self, who); });
  announce(self);
}

void tell_if_drained(self_ptr self) {
  orchestrator_state& s = state(self);
  // A job that was cancelled is to be charged for before the node ends.
  const bool idle = s.pool.idle() && s.validating.empty() && s.ending.empty();
  if (s.drained && idle) std::exchange(s.drained, nullptr)->done();
}

ticket_validator_actor& validator(self_ptr self) {
  auto& all = state(self).options.validators;
  return all[state(self).next_validator++ % all.size()];
}

void settle(self_ptr self, const std::string& payer, double units) {
  if (!payer.empty()) send(self, validator(self), settle_atom_v, payer, units);
}

void answer(self_ptr self, const std::string& id, result<wire::JobResult> outcome) {
  orchestrator_state& s = state(self);
  const auto it = s.jobs.find(id);
  if (it == s.jobs.end()) return;
  open_job job = std::move(it->second);
  s.jobs.erase(it);
  s.pool.finish(id);
  settle(self, job.payer, outcome ? outcome->units() : 0);
  if (outcome) {
    outcome->mutable_route()->Add(std::string(s.options.hello.node()));
    send(self, job.client, done_atom_v, job_result(std::move(*outcome)));
  } else {
    send(self, job.client, failed_atom_v, job_failure(make_failure(id, outcome.error())));
  }
  announce_soon(self);
  tell_if_drained(self);
}

void dispatch(self_ptr self);

void end_cancelled(self_ptr self, const std::string& id, double units);

// Whether the job was cancelled and the message under way is the last word of the worker that had
// it.
bool ends_cancelled(self_ptr self, const std::string& id) {
  const auto it = state(self).ending.find(id);
  return it != state(self).ending.end() && it->second.worker == self->current_sender();
}

void worker_failed(self_ptr self, const std::string& id, const std::string& worker, error why) {
  orchestrator_state& s = state(self);
  if (s.jobs.count(id) == 0) return;
  log::info("orchestrator", "job {} on {}: {}", id, worker, render(why));
  s.jobs.at(id).worker = gpu_worker_actor{};
  const bool again = worth_another_node(why.code) && s.pool.retry(id);
  if (!again) answer(self, id, fail(std::move(why)));
  dispatch(self);
}

void start(self_ptr self, const assignment& a) {
  orchestrator_state& s = state(self);
  open_job& job = s.jobs.at(a.job);
  job.worker = s.workers.at(a.worker);
  job.request.set_budget_ms(static_cast<std::uint32_t>(remaining(job.deadline).count()));
  send_kept(self, job.worker, run_atom_v, job.request);
}

void dispatch(self_ptr self) {
  while (const auto a = state(self).pool.next()) start(self, *a);
}

// Whether the message under way is from the worker that has that job: one that was given up may
// still speak.
bool from_its_worker(self_ptr self, const std::string& id) {
  const auto it = state(self).jobs.find(id);
  return it != state(self).jobs.end() && it->second.worker &&
         it->second.worker == self->current_sender();
}

void worker_done(self_ptr self, job_result& r) {
  // The result was under way when the job was cancelled: the work is done, and nothing else comes.
  if (ends_cancelled(self, r->id())) return end_cancelled(self, std::string(r->id()), r->units());
  if (!from_its_worker(self, r->id())) return;
  const std::string id = r->id();
  answer(self, id, std::move(r.value));
  dispatch(self);
}

void end_cancelled(self_ptr self, const std::string& id, double units) {
  orchestrator_state& s = state(self);
  const auto it = s.ending.find(id);
  if (it == s.ending.end()) return;
  const ending_job job = std::move(it->second);
  s.ending.erase(it);
  settle(self, job.payer, units);
  auto failure = make_failure(id, {ec::cancelled, "the job was cancelled", {}});
  failure.set_units(units);
  send(self, job.client, failed_atom_v, job_failure(std::move(failure)));
  tell_if_drained(self);
}

void worker_refused(self_ptr self, const job_failure& f) {
  if (ends_cancelled(self, f->id())) return end_cancelled(self, std::string(f->id()), f->units());
  if (!from_its_worker(self, f->id())) return;
  worker_failed(self, f->id(), state(self).pool.worker_of(f->id()), wire::from_wire(f->error()));
}

void remove_worker(self_ptr self, const std::string& name) {
  orchestrator_state& s = state(self);
  log::info("orchestrator", "worker {} went away", name);
  std::vector<std::string> unanswered;
  for (const auto& [id, job] : s.ending) {
    if (job.worker == s.workers.at(name)) unanswered.push_back(id);
  }
  s.workers.erase(name);
  for (const std::string& id : unanswered) end_cancelled(self, id, 0);
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
  s.validating.erase(id);
  if (const auto it = s.jobs.find(id);
      it != s.jobs.end() && !it->second.payer.empty() && it->second.worker) {
    open_job& job = it->second;
    s.ending[id] = {job.client, job.worker, job.payer, clock::now() + settling_time};
    s.jobs.erase(it);
    announce_soon(self);
  }
  if (const auto worker = s.pool.finish(id)) {
    if (const auto w = s.workers.find(*worker); w != s.workers.end()) {
      send(self, w->second, cancel_atom_v, id);
    } else {
      end_cancelled(self, id, 0);
    }
  }
  answer(self, id, fail(ec::cancelled, "the job was cancelled"));
  dispatch(self);
  tell_if_drained(self);
}

// A gateway that dies leaves jobs that nobody waits for.
void watch_client(self_ptr self, const gateway_actor& client) {
  orchestrator_state& s = state(self);
  if (!s.clients.insert(client.address()).second) return;
  s.watched.watch(self, client, [self, address = client.address()](const caf::error&) {
    std::vector<std::string> orphans;
    for (const auto& [id, job] : state(self).jobs) {
      if (job.client.address() == address) orphans.push_back(id);
    }
    for (const std::string& id : orphans) cancel(self, id);
    state(self).clients.erase(address);
  });
}

void refuse(self_ptr self, const gateway_actor& client, const std::string& id, const error& why) {
  send(self, client, failed_atom_v, job_failure(make_failure(id, why)));
}

void admit(self_ptr self, wire::JobRequest r, time_point deadline, const gateway_actor& client,
           const std::string& payer) {
  orchestrator_state& s = state(self);
  const std::string id = r.id();
  if (auto admitted = s.pool.admit({id, r.pipeline(), r.model(), deadline, {}}); !admitted) {
    settle(self, payer, 0);
    return refuse(self, client, id, admitted.error());
  }
  s.jobs[id] = {std::move(r), deadline, client, {}, payer};
  watch_client(self, client);
  dispatch(self);
  announce_soon(self);
}

// The payment first: who does not pay holds no place in the queue.
void validate(self_ptr self, const job_request& r, time_point deadline,
              const gateway_actor& client) {
  orchestrator_state& s = state(self);
  const std::string id = r->id();
  if (s.validating.size() >= most_validating) {
    return refuse(self, client, id, {ec::busy, "too many payments are being checked", {}});
  }
  if (s.jobs.count(id) > 0 || s.ending.count(id) > 0 || !s.validating.emplace(id, client).second) {
    return refuse(self, client, id,
                  {ec::bad_request, fmt::format("job id {} is already in use", id), {}});
  }
  // Longer than the job: what is admitted too late is settled all the same.
  request(self, validator(self), milliseconds(r->budget_ms()) + settling_time, admit_atom_v, r)
      .then(
          [self, r, deadline, client](const std::string& payer) {
            const bool wanted = state(self).validating.erase(r->id()) > 0;
            if (!wanted) {
              settle(self, payer, 0);
              refuse(self, client, r->id(), {ec::cancelled, "the job was cancelled", {}});
              return tell_if_drained(self);
            }
            if (deadline <= clock::now()) {
              settle(self, payer, 0);
              refuse(
                  self, client, r->id(),
                  {ec::deadline_exceeded, "the job's time was over when its payment was in", {}});
              return tell_if_drained(self);
            }
            wire::JobRequest job = r.value;
            // Workers have no use for what was paid.
            job.clear_payment();
            job.clear_authorisation();
            job.clear_terms();
            admit(self, std::move(job), deadline, client, payer);
            tell_if_drained(self);
          },
          [self, id, client](const caf::error& e) {
            state(self).validating.erase(id);
            refuse(self, client, id, from_caf(e, "checking the payment"));
            tell_if_drained(self);
          });
}

void run(self_ptr self, job_request& r) {
  const auto client = caf::actor_cast<gateway_actor>(self->current_sender());
  if (!is_member(self, self->current_sender())) return;
  const time_point deadline = clock::now() + milliseconds(r->budget_ms());
  if (!state(self).options.validators.empty()) return validate(self, r, deadline, client);
  admit(self, std::move(r.value), deadline, client, {});
}

caf::result<terms> tell_terms(self_ptr self, const terms_request& r) {
  if (state(self).options.validators.empty()) {
    return to_caf({ec::not_found, "nothing is to be paid here", {}});
  }
  auto promise = self->make_response_promise<terms>();
  request(self, validator(self), terms_timeout, terms_atom_v, r)
      .then([promise](terms& t) mutable { promise.deliver(std::move(t)); },
            [promise](const caf::error& e) mutable {
              promise.deliver(to_caf(from_caf(e, "stating terms")));
            });
  return promise;
}

template <class Holder>
caf::result<chunk> relay(self_ptr self, const Holder& holder, const chunk_request& r) {
  auto promise = self->make_response_promise<chunk>();
  request(self, holder, chunk_timeout, read_atom_v, r)
      .then([promise](chunk& c) mutable { promise.deliver(std::move(c)); },
            [promise](const caf::error& e) mutable {
              promise.deliver(to_caf(from_caf(e, "reading a large file")));
            });
  return promise;
}

// A job's files are at its gateway. Of a result "worker-1/0123..." the worker's name leads to who
// holds the bytes.
caf::result<chunk> read(self_ptr self, const chunk_request& r) {
  orchestrator_state& s = state(self);
  if (!r->job().empty()) {
    const auto job = s.jobs.find(r->job());
    if (job != s.jobs.end()) return relay(self, job->second.client, r);
    return to_caf({ec::gone, "the job has ended", {}});
  }
  const std::string name = r->blob().substr(0, r->blob().find('/'));
  const auto it = s.workers.find(name);
  if (it != s.workers.end()) return relay(self, it->second, r);
  return to_caf({ec::gone, fmt::format("worker {} went away with the result", name), {}});
}

caf::result<hello> greet(self_ptr self, const hello& theirs) {
  orchestrator_state& s = state(self);
  const caf::strong_actor_ptr link = self->current_sender();
  const std::string node = link ? key_of(link->node()) : std::string();
  const std::string where = link ? address_of(self->system(), link->node()) : std::string();
  if (auto ok = s.members.greet(s.options.hello, theirs.value, node, where); !ok) {
    log::sparingly(log::level::warn, "orchestrator", theirs->node() + ok.error().message,
                   "{}: {} {} at {} is refused: {}", s.options.hello.node(), theirs->role(),
                   theirs->node(), where, ok.error().message);
    return to_caf(ok.error());
  }
  if (link) {
    s.watched.watch(self, caf::actor_cast<caf::actor>(link),
                    [self, node](const caf::error&) { state(self).members.forget(node); });
  }
  return hello(s.options.hello);
}

void expire(self_ptr self) {
  const time_point now = clock::now();
  for (const std::string& id : state(self).pool.expire(now)) {
    answer(self, id,
           fail(ec::deadline_exceeded, "the job's time was over before a worker was free"));
  }
  // Workers keep the deadline themselves; one that is frozen does not.
  std::vector<std::string> late;
  for (const auto& [id, job] : state(self).jobs) {
    if (job.deadline + worker_margin <= now) late.push_back(id);
  }
  for (const std::string& id : late) {
    answer(self, id, fail(ec::deadline_exceeded, "the worker did not answer in the job's time"));
  }
  if (!late.empty()) dispatch(self);
  std::vector<std::string> silent;
  for (const auto& [id, job] : state(self).ending) {
    if (job.until <= now) silent.push_back(id);
  }
  for (const std::string& id : silent) end_cancelled(self, id, 0);
  send_to_itself(self, expiry_tick, caf::tick_atom_v);
}

}  // namespace

orchestrator_actor spawn_orchestrator(caf::actor_system& system, orchestrator_options options) {
  return spawn_on_network_thread(
      system, [options](self_ptr self) -> orchestrator_actor::behavior_type {
        state(self).options = options;
        state(self).pool = worker_pool(options.hello.node(), options.queue_limit);
        send_to_itself(self, expiry_tick, caf::tick_atom_v);
        return {
            [self](hello_atom, const hello& theirs) { return greet(self, theirs); },
            [self](watch_atom, const caf::strong_actor_ptr& who) {
              if (is_member(self, who)) watch_directory(self, who);
            },
            [self](worker_atom, const worker_state& w, const caf::strong_actor_ptr& handle) {
              if (is_member(self, handle, w->node())) add_worker(self, w, handle);
            },
            [self](run_atom, job_request& r) { run(self, r); },
            [self](done_atom, job_result& r) { worker_done(self, r); },
            [self](failed_atom, const job_failure& f) { worker_refused(self, f); },
            [self](cancel_atom, const std::string& id) { cancel(self, id); },
            [self](read_atom, const chunk_request& r) { return read(self, r); },
            [self](terms_atom, const terms_request& r) { return tell_terms(self, r); },
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
