// SPDX-License-Identifier: MIT
#include "actors/redeemer.hpp"

#include <string>

#include "runtime/base/log.hpp"
#include "runtime/base/steady_time.hpp"

namespace lp::actors {

namespace {

struct redeemer_state : state_base {
  static inline const char* name = "redeemer";
  redeemer_options options;
  steady_time time;
  std::string last_trouble;
};

using self_ptr = redeemer_actor::stateful_pointer<redeemer_state>;

// The same trouble again and again is one line, not thousands.
void tell(redeemer_state& s, const std::string& trouble) {
  if (trouble != s.last_trouble && !trouble.empty()) log::warn("redeemer", "{}", trouble);
  s.last_trouble = trouble;
}

// True while a transaction is under way.
bool step(redeemer_state& s) {
  const auto done = s.options.worker->step(s.time.seconds(), clock::now() + s.options.step_timeout);
  tell(s, done ? done->note : render(done.error()));
  if (!done) return false;
  if (done->submitted + done->mined + done->failed > 0) {
    log::info("redeemer", "tickets: {} submitted, {} paid, {} given up", done->submitted,
              done->mined, done->failed);
  }
  return done->waiting;
}

}  // namespace

redeemer_actor spawn_redeemer(caf::actor_system& system, redeemer_options options) {
  return system.spawn<caf::detached>([options](self_ptr self) -> redeemer_actor::behavior_type {
    state(self).options = options;
    send(self, self, caf::tick_atom_v);
    return {
        [self](step_atom) { step(state(self)); },
        [self](caf::tick_atom) {
          const bool busy = step(state(self));
          const redeemer_options& o = state(self).options;
          send_to_itself(self, busy ? o.busy_interval : o.interval, caf::tick_atom_v);
        },
    };
  });
}

}  // namespace lp::actors
