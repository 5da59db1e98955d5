// SPDX-License-Identifier: MIT
#include "actors/ticket_validator.hpp"

#include <map>
#include <utility>

#include "actors/errors.hpp"
#include "runtime/base/log.hpp"

namespace lp::actors {

namespace {

struct validator_state : state_base {
  static inline const char* name = "ticket_validator";
  std::shared_ptr<till> money;
  std::shared_ptr<steady_time> time;
  std::map<std::uint64_t, caf::typed_response_promise<std::string>> waiting;
  std::uint64_t admissions = 0;
};

using self_ptr = ticket_validator_actor::stateful_pointer<validator_state>;

caf::result<terms> state_terms(self_ptr self, const terms_request& r) {
  validator_state& s = state(self);
  s.time->tell_steps(s.money->node());
  auto stated = s.money->state_terms(r.value, s.time->ms());
  if (!stated) return to_caf(stated.error());
  return terms(std::move(*stated));
}

// The ledger calls back on a thread of its own; the answer is this actor's to give.
caf::result<std::string> admit(self_ptr self, const job_request& r) {
  validator_state& s = state(self);
  auto checked = s.money->check(r.value, s.time->ms());
  if (!checked) {
    log::info("validator", "job {}: {}", r->id(), render(checked.error()));
    return to_caf(checked.error());
  }
  if (!*checked) return std::string();
  const std::uint64_t number = ++s.admissions;
  auto promise = self->make_response_promise<std::string>();
  s.waiting.emplace(number, promise);
  const auto back = weak_handle(self);
  s.money->admit(std::move(**checked), [back, number](result<std::string> outcome) {
    auto v = std::make_shared<verdict>();
    if (outcome) {
      v->job = std::move(*outcome);
    } else {
      v->problem = std::move(outcome.error());
    }
    post_weak<ticket_validator_actor>(back, commit_atom_v, number, verdict_ptr(std::move(v)));
  });
  return promise;
}

void conclude(self_ptr self, std::uint64_t number, const verdict& v) {
  auto& waiting = state(self).waiting;
  const auto it = waiting.find(number);
  if (it == waiting.end()) return;
  auto promise = std::move(it->second);
  waiting.erase(it);
  if (v.problem.code == ec::none) {
    promise.deliver(v.job);
  } else {
    promise.deliver(to_caf(v.problem));
  }
}

}  // namespace

ticket_validator_actor spawn_ticket_validator(caf::actor_system& system,
                                              std::shared_ptr<till> money,
                                              std::shared_ptr<steady_time> time) {
  return system.spawn<caf::detached>(
      [money, time](self_ptr self) -> ticket_validator_actor::behavior_type {
        state(self).money = money;
        state(self).time = time;
        return {
            [self](terms_atom, const terms_request& r) { return state_terms(self, r); },
            [self](admit_atom, const job_request& r) { return admit(self, r); },
            [self](settle_atom, const std::string& job, double units) {
              state(self).money->settle(job, units);
            },
            [self](commit_atom, std::uint64_t number, const verdict_ptr& v) {
              conclude(self, number, *v);
            },
        };
      });
}

}  // namespace lp::actors
