// SPDX-License-Identifier: MIT
#include "actors/payer.hpp"

#include <map>
#include <utility>

#include <fmt/core.h>

#include "actors/errors.hpp"
#include "runtime/base/log.hpp"

namespace lp::actors {

namespace {

constexpr std::chrono::seconds terms_timeout{5};
constexpr std::chrono::seconds expiry_tick{1};

using paid = caf::typed_response_promise<job_request>;

// A job whose price the ledger is setting aside.
struct payment_under_way {
  paid answer;
  payment_order_ptr order;
  purse::plan plan;
  bool again = false;  ///< with terms asked for anew
};

struct payer_state : state_base {
  static inline const char* name = "payer";
  std::shared_ptr<purse> money;
  std::shared_ptr<steady_time> time;
  std::map<std::uint64_t, payment_under_way> under_way;
  std::uint64_t payments = 0;
};

using self_ptr = payer_actor::stateful_pointer<payer_state>;

std::int64_t now_ms(self_ptr self) {
  return state(self).time->ms();
}

// Asks the orchestrator for terms; `then` is told when they are taken, or why not.
void get_terms(self_ptr self, const std::string& node, const caf::strong_actor_ptr& to,
               const std::string& pipeline, const std::string& model,
               std::function<void(result<void>)> then) {
  purse& money = *state(self).money;
  if (money.has_terms(node, pipeline, model, now_ms(self))) return then({});
  const terms_request asked(money.ask(node, pipeline, model, now_ms(self)));
  request(self, caf::actor_cast<orchestrator_actor>(to), terms_timeout, terms_atom_v, asked)
      .then(
          [self, node, asked, then](const terms& t) {
            auto taken = state(self).money->take(node, asked.value, t.value, now_ms(self));
            if (!taken) log::warn("payer", "orchestrator {}: {}", node, render(taken.error()));
            then(std::move(taken));
          },
          [then](const caf::error& e) { then(fail(from_caf(e, "asking for terms"))); });
}

void pay_by_terms(self_ptr self, const payment_order_ptr& order, paid answer, bool again) {
  payer_state& s = state(self);
  const std::int64_t now = now_ms(self);
  auto plan = s.money->prepare(*order, now + remaining(order->deadline).count(), now);
  if (!plan) {
    answer.deliver(to_caf(plan.error()));
    return;
  }
  const std::uint64_t number = ++s.payments;
  const auto it = s.under_way.insert({number, {answer, order, std::move(*plan), again}}).first;
  const auto back = weak_handle(self);
  s.money->fund(it->second.plan, [back, number](result<payments::funded> outcome) {
    auto v = std::make_shared<verdict>();
    if (outcome) {
      v->funded = *outcome;
    } else {
      v->problem = std::move(outcome.error());
    }
    post_weak<payer_actor>(back, commit_atom_v, number, verdict_ptr(std::move(v)));
  });
}

// An orchestrator of a configuration without payments works for nothing.
bool asks_nothing(const result<void>& have) {
  return !have && have.error().code == ec::not_found;
}

void get_terms_and_pay(self_ptr self, const payment_order_ptr& order, paid answer, bool again) {
  const wire::JobRequest& r = order->request;
  get_terms(self, order->node, order->orchestrator, r.pipeline(), r.model(),
            [self, order, answer, again](const result<void>& have) mutable {
              if (have) return pay_by_terms(self, order, answer, again);
              if (asks_nothing(have) && !state(self).money->must_sign(order->node)) {
                answer.deliver(job_request(std::move(order->request)));
                return;
              }
              // An orchestrator without terms to be had is as good as one that is not there.
              answer.deliver(to_caf(
                  {ec::payment_required,
                   fmt::format("terms of orchestrator {}: {}", order->node, render(have.error())),
                   {}}));
            });
}

caf::result<job_request> pay(self_ptr self, const payment_order_ptr& order) {
  auto answer = self->make_response_promise<job_request>();
  get_terms_and_pay(self, order, answer, false);
  return answer;
}

void conclude(self_ptr self, std::uint64_t number, const verdict& v) {
  payer_state& s = state(self);
  const auto it = s.under_way.find(number);
  if (it == s.under_way.end()) return;
  payment_under_way p = std::move(it->second);
  s.under_way.erase(it);
  if (v.problem.code == ec::none) {
    if (remaining(p.order->deadline).count() == 0) {
      s.money->settle({p.order->request.id(), p.plan.node, settlement::outcome::unsent, 0},
                      now_ms(self));
      p.answer.deliver(to_caf({ec::deadline_exceeded, "the job's time is over", {}}));
      return;
    }
    s.money->complete(p.plan, v.funded, p.order->request);
    p.answer.deliver(job_request(std::move(p.order->request)));
    return;
  }
  s.money->drop(p.plan);
  // These terms have no nonces left.
  if (v.problem.code == ec::payment_expired && !p.again) {
    s.money->drop_terms(p.plan.node);
    return get_terms_and_pay(self, p.order, p.answer, true);
  }
  p.answer.deliver(to_caf(v.problem));
}

// The price was changed after the terms that hold: what will it be? Those stay.
void look_ahead(self_ptr self, const quote_query_ptr& query, quote& q,
                const caf::strong_actor_ptr& to, std::function<void()> then) {
  purse& money = *state(self).money;
  const std::string& pipeline = query->request.pipeline();
  const auto held = money.held_price(q.node, pipeline, q.model);
  if (q.announced.empty() || !held || payments::to_text(*held) == q.announced) return then();
  const terms_request asked(money.ask(q.node, pipeline, q.model, now_ms(self)));
  request(self, caf::actor_cast<orchestrator_actor>(to), terms_timeout, terms_atom_v, asked)
      .then(
          [self, asked, held, then, quoted = &q, query](const terms& t) {
            const auto next = state(self).money->read_price(quoted->node, asked.value, t.value);
            if (next && next->wei_per_unit != held->wei_per_unit) quoted->next_price = *next;
            then();
          },
          [then](const caf::error&) { then(); });
}

// Clients have the host's clock, and no other.
void fill_in(self_ptr self, quote& q, const std::string& pipeline) {
  const steady_time& time = *state(self).time;
  state(self).money->fill(q, pipeline, time.ms());
  if (q.expires_ms > 0) q.expires_ms += time.host_ahead_ms();
}

// Asks everybody at once; the last answer completes the quotes.
void make_quotes(self_ptr self, const quote_query_ptr& query) {
  const auto left = std::make_shared<std::size_t>(query->candidates.size());
  const auto finished = [query, left] {
    if (--*left > 0) return;
    std::vector<quote> all;
    for (auto& candidate : query->candidates) all.push_back(std::move(candidate.first));
    query->done(std::move(all));
  };
  for (auto& [q, to] : query->candidates) {
    get_terms(self, q.node, to, query->request.pipeline(), q.model,
              [self, query, finished, quoted = &q, whom = to](const result<void>& have) {
                if (have) {
                  fill_in(self, *quoted, query->request.pipeline());
                  return look_ahead(self, query, *quoted, whom, finished);
                }
                if (!asks_nothing(have) || state(self).money->must_sign(quoted->node)) {
                  quoted->problem = have.error();
                }
                finished();
              });
  }
}

}  // namespace

payer_actor spawn_payer(caf::actor_system& system, std::shared_ptr<purse> money,
                        std::shared_ptr<steady_time> time) {
  return system.spawn<caf::detached>([money, time](self_ptr self) -> payer_actor::behavior_type {
    state(self).money = money;
    state(self).time = time;
    send_to_itself(self, expiry_tick, caf::tick_atom_v);
    return {
        [self](pay_atom, const payment_order_ptr& order) { return pay(self, order); },
        [self](settle_atom, const settlement_ptr& s) {
          state(self).money->settle(*s, now_ms(self));
        },
        [self](quote_atom, const quote_query_ptr& query) { make_quotes(self, query); },
        [self](peer_down_atom, const std::string& node) {
          state(self).money->peer_down(node, now_ms(self));
        },
        [self](commit_atom, std::uint64_t number, const verdict_ptr& v) {
          conclude(self, number, *v);
        },
        [self](caf::tick_atom) {
          state(self).time->tell_steps("gateway");
          state(self).money->expire(now_ms(self));
          send_to_itself(self, expiry_tick, caf::tick_atom_v);
        },
    };
  });
}

}  // namespace lp::actors
