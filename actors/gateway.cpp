// SPDX-License-Identifier: MIT
#include "actors/gateway.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/core.h>

#include "actors/blob_fetch.hpp"
#include "actors/errors.hpp"
#include "actors/input_packing.hpp"
#include "actors/network_backend.hpp"
#include "actors/selection.hpp"
#include "net/wire/convert.hpp"
#include "runtime/base/log.hpp"

namespace lp::actors {

namespace {

// An orchestrator answers by the deadline it was given; the margin lets that answer arrive.
constexpr milliseconds answer_margin{400};
// How often jobs are looked over for passed deadlines.
constexpr milliseconds expiry_tick{100};

struct gateway_job {
  submission_ptr what;
  std::set<std::string> tried;
  std::set<std::string> unpaid;      ///< refused the payment: may be paid again
  std::set<std::string> paid_again;  ///< are or were; a second refusal is one
  std::string node;                  ///< where it is now
  unsigned attempt = 0;              ///< answers of earlier attempts are ignored
  error last;                        ///< the latest refusal
  wire::JobResult result;
  unsigned fetching = 0;  ///< files still being pulled
};

struct gateway_state : state_base {
  static inline const char* name = "gateway";
  gateway_options options;
  selection peers;
  std::map<std::string, orchestrator_actor> handles;
  std::map<std::string, gateway_job> jobs;
  bool draining = false;
  drained_ptr drained;  ///< told once, when the last job is answered
};

using self_ptr = gateway_actor::stateful_broker_pointer<gateway_state>;

void answer(self_ptr self, const std::string& id, result<wire::JobResult> outcome) {
  gateway_state& s = state(self);
  const auto it = s.jobs.find(id);
  if (it == s.jobs.end()) return;
  const gateway_job job = std::move(it->second);
  s.jobs.erase(it);
  s.peers.finished(job.node);
  if (outcome) {
    // Each hop added itself on the way back.
    auto& route = *outcome->mutable_route();
    route.Add(std::string(s.options.node));
    std::reverse(route.begin(), route.end());
  } else {
    log::info("gateway", "job {}: {}", id, render(outcome.error()));
  }
  job.what->done(std::move(outcome));
  if (s.drained && s.jobs.empty()) std::exchange(s.drained, nullptr)->done();
}

void try_next(self_ptr self, const std::string& id);

void refused(self_ptr self, const std::string& id, unsigned attempt, error why) {
  gateway_state& s = state(self);
  const auto it = s.jobs.find(id);
  if (it == s.jobs.end() || it->second.attempt != attempt) return;
  // An orchestrator that takes this gateway for somebody else says nothing of the client.
  if (!worth_another_node(why.code) && why.code != ec::unauthorized) {
    return answer(self, id, fail(std::move(why)));
  }
  log::info("gateway", "job {} at {}: {}", id, it->second.node, render(why));
  s.peers.finished(it->second.node);
  it->second.node.clear();
  it->second.last = std::move(why);
  try_next(self, id);
}

// The node is connected: when it goes, peer_down() starts another attempt before anything else.
void fetch(self_ptr self, const std::string& id, unsigned attempt, int index) {
  gateway_state& s = state(self);
  gateway_job& job = s.jobs.at(id);
  const wire::Media& file = job.result.media(index);
  wire::ChunkRequest what;
  what.set_blob(file.blob());
  const auto fetcher = spawn_blob_fetch(self->system(), s.handles.at(job.node), std::move(what),
                                        file.size(), job.what->deadline);
  ++job.fetching;
  request(self, fetcher, remaining(job.what->deadline) + answer_margin, read_atom_v)
      .then(
          [self, id, attempt, index](std::string& bytes) {
            const auto it = state(self).jobs.find(id);
            if (it == state(self).jobs.end() || it->second.attempt != attempt) return;
            wire::Media& pulled = *it->second.result.mutable_media(index);
            pulled.set_data(std::move(bytes));
            pulled.clear_blob();
            if (--it->second.fetching == 0) answer(self, id, std::move(it->second.result));
          },
          [self, id, attempt](const caf::error& e) {
            refused(self, id, attempt, from_caf(e, "reading the result"));
          });
}

// The job that the message under way is about, if its sender is the orchestrator that has it now:
// one that was given up may still speak. No node is tried again that did not refuse it itself.
gateway_job* job_of_sender(self_ptr self, const std::string& id) {
  const auto it = state(self).jobs.find(id);
  if (it == state(self).jobs.end()) return nullptr;
  const auto handle = state(self).handles.find(it->second.node);
  const bool its = handle != state(self).handles.end() && handle->second == self->current_sender();
  return its ? &it->second : nullptr;
}

void arrived(self_ptr self, wire::JobResult& r) {
  const std::string id = r.id();
  gateway_job* job = job_of_sender(self, id);
  if (job == nullptr) return;
  job->result = std::move(r);
  for (int i = 0; i < job->result.media_size(); ++i) {
    if (!job->result.media(i).blob().empty()) fetch(self, id, job->attempt, i);
  }
  if (job->fetching == 0) answer(self, id, std::move(job->result));
}

error no_candidate(const gateway_job& job, error why) {
  if (job.attempt == 0) return why;
  const bool money = http_status(job.last.code) == http_status(ec::payment_required);
  return {money ? job.last.code : ec::unavailable,
          fmt::format("no orchestrator is left for the job after {} tries; the last said: {}",
                      job.attempt, render(job.last)),
          {}};
}

void settle(self_ptr self, const std::string& id, const std::string& node, settlement::outcome how,
            double units = 0) {
  const payer_actor& payer = state(self).options.payer;
  if (payer) {
    send(self, payer, settle_atom_v,
         settlement_ptr(std::make_shared<settlement>(settlement{id, node, how, units})));
  }
}

bool refuses_payment(ec code) {
  return code == ec::payment_required || code == ec::payment_expired || code == ec::unauthorized;
}

settlement::outcome outcome_of(const wire::JobFailure& f) {
  const bool payment = refuses_payment(wire::from_wire(f.error()).code);
  return payment ? settlement::outcome::refused : settlement::outcome::returned;
}

// The job came back from the orchestrator that has it now. What paid for it may have been lost, or
// be over: once nobody else is left, it is paid for there by new terms, once.
void came_back(self_ptr self, const std::string& id, error why) {
  gateway_job& job = state(self).jobs.at(id);
  if (state(self).options.payer && refuses_payment(why.code) &&
      job.paid_again.count(job.node) == 0) {
    job.unpaid.insert(job.node);
  }
  refused(self, id, job.attempt, std::move(why));
}

// An orchestrator told how a job ended there, perhaps of one that was cancelled here.
void settle_with_sender(self_ptr self, const std::string& id, settlement::outcome how,
                        double units) {
  if (!state(self).options.payer) return;
  for (const auto& [node, handle] : state(self).handles) {
    if (handle == self->current_sender()) settle(self, id, node, how, units);
  }
}

// Signatures and the disk take the payer some time; meanwhile the job may have ended.
void pay_and_send(self_ptr self, const std::string& id, wire::JobRequest sent) {
  gateway_state& s = state(self);
  const gateway_job& job = s.jobs.at(id);
  auto order = std::make_shared<payment_order>();
  order->node = job.node;
  order->orchestrator = caf::actor_cast<caf::strong_actor_ptr>(s.handles.at(job.node));
  order->request = std::move(sent);
  order->deadline = job.what->deadline;
  order->max_prices = job.what->max_prices;
  order->again = job.paid_again.count(job.node) > 0;
  request(self, s.options.payer, remaining(order->deadline) + answer_margin, pay_atom_v, order)
      .then(
          [self, id, node = job.node, attempt = job.attempt](job_request& paid) {
            const auto it = state(self).jobs.find(id);
            const auto to = state(self).handles.find(node);
            if (to == state(self).handles.end()) {
              return settle(self, id, node, settlement::outcome::unsent);
            }
            if (it == state(self).jobs.end() || it->second.attempt != attempt) {
              // Nobody wants the job any more, but its tickets are worth something there.
              send(self, to->second, run_atom_v, std::move(paid));
              return send(self, to->second, cancel_atom_v, id);
            }
            const milliseconds left = remaining(it->second.what->deadline);
            paid->set_budget_ms(static_cast<std::uint32_t>(left.count()));
            send(self, to->second, run_atom_v, std::move(paid));
          },
          [self, id, attempt = job.attempt](const caf::error& e) {
            refused(self, id, attempt, from_caf(e, "paying"));
          });
}

// Who offers what is asked for; a gateway that pays asks each for its price.
void quote_job(self_ptr self, const quote_query_ptr& query) {
  gateway_state& s = state(self);
  const wire::JobRequest& r = query->request;
  for (const wire::Announcement& a : s.peers.list()) {
    for (const wire::Offer& offer : a.offers()) {
      if (a.draining() || !matches(offer, r.pipeline(), r.model())) continue;
      quote q;
      q.node = a.node();
      q.model = offer.model();
      q.warm = offer.warm();
      q.announced = offer.price_per_unit();
      q.units = query->units;
      query->candidates.emplace_back(
          std::move(q), caf::actor_cast<caf::strong_actor_ptr>(s.handles.at(a.node())));
    }
  }
  if (query->candidates.empty()) {
    return query->done(fail(s.peers.pick(r.pipeline(), r.model(), {}).error()));
  }
  if (s.options.payer) return send(self, s.options.payer, quote_atom_v, query);
  std::vector<quote> gratis;
  for (auto& [q, handle] : query->candidates) gratis.push_back(std::move(q));
  query->done(std::move(gratis));
}

result<choice> pick(self_ptr self, gateway_job& job) {
  selection& peers = state(self).peers;
  const wire::JobRequest& r = job.what->request;
  auto next = peers.pick(r.pipeline(), r.model(), job.tried);
  if (next || job.unpaid.empty()) return next;
  for (const std::string& node : job.unpaid) job.tried.erase(node);
  job.paid_again.merge(job.unpaid);
  job.unpaid.clear();
  return peers.pick(r.pipeline(), r.model(), job.tried);
}

void try_next(self_ptr self, const std::string& id) {
  gateway_state& s = state(self);
  gateway_job& job = s.jobs.at(id);
  wire::JobRequest& r = job.what->request;
  const milliseconds left = remaining(job.what->deadline);
  if (left.count() == 0) {
    return answer(self, id, fail(ec::deadline_exceeded, "the job's time is over"));
  }
  auto next = pick(self, job);
  if (!next) return answer(self, id, fail(no_candidate(job, std::move(next.error()))));
  job.node = next->node;
  job.tried.insert(job.node);
  const unsigned attempt = ++job.attempt;
  s.peers.started(job.node);
  std::string asked = std::exchange(*r.mutable_model(), next->model);  // the next node's may differ
  r.set_attempt(attempt);
  r.set_budget_ms(static_cast<std::uint32_t>(left.count()));
  if (s.options.payer) {
    pay_and_send(self, id, r);
  } else {
    send_kept(self, s.handles.at(job.node), run_atom_v, r);
  }
  r.set_model(std::move(asked));
}

void submit(self_ptr self, const submission_ptr& what) {
  gateway_state& s = state(self);
  if (s.draining) return what->done(fail(ec::draining, "the gateway is stopping"));
  if (s.jobs.size() >= s.options.max_jobs) {
    return what->done(
        fail(ec::busy, fmt::format("the gateway has {} jobs under way", s.jobs.size())));
  }
  const std::string id = what->request.id();
  s.jobs[id].what = what;
  if (!what->files.empty()) {
    // Digests of large files take a while.
    network_loop(self->system()).long_work([&] { pack_inputs(what->files, what->request); });
  }
  try_next(self, id);
}

caf::result<chunk> read(self_ptr self, const wire::ChunkRequest& r) {
  const gateway_job* job = job_of_sender(self, r.job());
  if (job == nullptr) return to_caf({ec::gone, "the job is not there any more", {}});
  auto part = read_input(r, job->what->files);
  if (!part) return to_caf(part.error());
  return chunk(std::move(*part));
}

void cancel(self_ptr self, const std::string& id) {
  gateway_state& s = state(self);
  const auto it = s.jobs.find(id);
  if (it == s.jobs.end()) return;
  if (const auto h = s.handles.find(it->second.node); h != s.handles.end()) {
    send(self, h->second, cancel_atom_v, id);
  }
  answer(self, id, fail(ec::cancelled, "the client went away"));
}

void expire(self_ptr self) {
  const time_point now = clock::now();
  std::vector<std::string> late;
  for (const auto& [id, job] : state(self).jobs) {
    if (job.what->deadline + answer_margin <= now) late.push_back(id);
  }
  for (const std::string& id : late) {
    answer(self, id, fail(ec::deadline_exceeded, "no orchestrator answered in the job's time"));
  }
  send_to_itself(self, expiry_tick, caf::tick_atom_v);
}

void peer_down(self_ptr self, const std::string& node) {
  gateway_state& s = state(self);
  s.peers.remove(node);
  s.handles.erase(node);
  if (s.options.payer) send(self, s.options.payer, peer_down_atom_v, node);
  std::vector<std::pair<std::string, unsigned>> there;
  for (const auto& [id, job] : s.jobs) {
    if (job.node == node) there.emplace_back(id, job.attempt);
  }
  for (const auto& [id, attempt] : there) {
    refused(self, id, attempt, {ec::gone, fmt::format("orchestrator {} went away", node), {}});
  }
}

}  // namespace

gateway_actor spawn_gateway(caf::actor_system& system, gateway_options options) {
  return spawn_on_network_thread(system, [options](self_ptr self) -> gateway_actor::behavior_type {
    state(self).options = options;
    send_to_itself(self, expiry_tick, caf::tick_atom_v);
    return {
        [self](submit_atom, const submission_ptr& what) { submit(self, what); },
        [self](cancel_atom, const std::string& id) { cancel(self, id); },
        [self](done_atom, job_result& r) {
          settle_with_sender(self, r->id(), settlement::outcome::delivered, r->units());
          arrived(self, r.value);
        },
        [self](failed_atom, const job_failure& f) {
          settle_with_sender(self, f->id(), outcome_of(f.value), f->units());
          if (job_of_sender(self, f->id()) != nullptr) {
            came_back(self, f->id(), wire::from_wire(f->error()));
          }
        },
        [self](read_atom, const chunk_request& r) { return read(self, r.value); },
        [self](caf::tick_atom) { expire(self); },
        [self](peer_up_atom, const announcement& a, const caf::strong_actor_ptr& handle) {
          state(self).handles.insert_or_assign(a->node(),
                                               caf::actor_cast<orchestrator_actor>(handle));
          state(self).peers.update(a.value);
        },
        [self](peer_down_atom, const std::string& node) { peer_down(self, node); },
        [self](view_atom, const view_query_ptr& query) {
          query->done({state(self).peers.list(), state(self).jobs.size()});
        },
        [self](quote_atom, const quote_query_ptr& query) { quote_job(self, query); },
        [self](drain_atom, const drained_ptr& done) {
          state(self).draining = true;
          state(self).drained = done;
          if (state(self).jobs.empty()) std::exchange(state(self).drained, nullptr)->done();
        },
    };
  });
}

}  // namespace lp::actors
