// SPDX-License-Identifier: MIT
#include "actors/peer_link.hpp"

#include <algorithm>
#include <random>
#include <set>

#include <fmt/core.h>
#include <caf/io/middleman.hpp>

#include "actors/errors.hpp"
#include "runtime/base/log.hpp"

namespace lp::actors {

namespace {

// A connect that has no answer by then never gets one; both ends of a link are one or two round
// trips apart.
constexpr std::chrono::seconds connect_timeout{3};
constexpr milliseconds first_delay{50};
constexpr milliseconds longest_delay{2000};

struct link_state : state_base {
  static inline const char* name = "peer_link";
  caf::actor owner;
  peer_link_options options;
  monitors watched;
  milliseconds delay = first_delay;
  std::minstd_rand random{std::random_device{}()};
  std::string last_error;
};

using self_ptr = caf::stateful_actor<link_state>*;

void retry_later(self_ptr self, const std::string& why) {
  link_state& s = state(self);
  // The same failure again and again is one line, not thousands.
  if (why != s.last_error) log::debug("link", "{}: {}", s.options.peer, why);
  s.last_error = why;
  std::uniform_int_distribution<long> jitter(s.delay.count() / 2, s.delay.count());
  send_to_itself(self, milliseconds(jitter(s.random)), caf::connect_atom_v);
  s.delay = std::min(s.delay * 2, longest_delay);
}

void linked(self_ptr self, const orchestrator_actor& peer, const wire::Hello& theirs) {
  link_state& s = state(self);
  const std::string& peer_name = theirs.node();
  s.delay = first_delay;
  s.last_error.clear();
  s.watched.watch(self, peer, [self, peer_name](const caf::error&) {
    send(self, state(self).owner, link_down_atom_v, peer_name);
    retry_later(self, "connection lost");
  });
  send(self, s.owner, link_up_atom_v, peer_name, caf::actor_cast<caf::strong_actor_ptr>(peer));
}

void introduce(self_ptr self, const caf::strong_actor_ptr& handle) {
  const auto peer = caf::actor_cast<orchestrator_actor>(handle);
  request(self, peer, connect_timeout, hello_atom_v, hello(state(self).options.hello))
      .then(
          [self, peer](const hello& theirs) {
            const peer_link_options& o = state(self).options;
            if (theirs->cluster() != o.hello.cluster() ||
                theirs->protocol() != o.hello.protocol() ||
                (!o.peer.empty() && theirs->node() != o.peer)) {
              return retry_later(
                  self, fmt::format("{} of cluster {} (protocol {}) answers at that address",
                                    theirs->node(), theirs->cluster(), theirs->protocol()));
            }
            if (o.accepts && !o.accepts(theirs->node())) {
              return retry_later(self, fmt::format("{} belongs to another", theirs->node()));
            }
            linked(self, peer, theirs.value);
          },
          [self](const caf::error& e) { retry_later(self, from_caf(e, "hello").message); });
}

void connect(self_ptr self) {
  link_state& s = state(self);
  auto& system = self->system();
  const auto manager = system.middleman().actor_handle();
  const endpoint to = s.options.address();
  if (to.port == 0) return retry_later(self, "no address yet");
  request(self, manager, connect_timeout, caf::connect_atom_v, to.host, to.port)
      .then(
          [self](const caf::node_id&, const caf::strong_actor_ptr& handle,
                 const std::set<std::string>&) {
            if (!handle) return retry_later(self, "nothing is published at that address");
            introduce(self, handle);
          },
          [self, to](const caf::error& e) {
            retry_later(self, fmt::format("cannot connect to {}:{}: {}", to.host, to.port,
                                          self->system().render(e)));
          });
}

}  // namespace

caf::actor spawn_peer_link(caf::actor_system& system, caf::actor owner, peer_link_options options) {
  return system.spawn([owner, options](self_ptr self) -> caf::behavior {
    state(self).owner = owner;
    state(self).options = options;
    connect(self);
    return {[self](caf::connect_atom) { connect(self); }};
  });
}

}  // namespace lp::actors
