// SPDX-License-Identifier: MIT
#include "actors/peer_link.hpp"

#include <algorithm>
#include <random>
#include <set>
#include <utility>

#include <fmt/core.h>
#include <caf/io/middleman.hpp>

#include "actors/errors.hpp"
#include "actors/network_backend.hpp"
#include "runtime/base/log_limit.hpp"

namespace lp::actors {

namespace {

// net gives up before, with a reason: after 3 s without a connection, or without a byte over it.
constexpr std::chrono::seconds connect_timeout{8};
// Both ends of a link are one or two round trips apart.
constexpr std::chrono::seconds hello_timeout{3};
// While a link is up both sides introduce themselves again and again. What was lost on the way is
// said again then, and a connection that carries nothing is noticed; as patient as heartbeats are.
constexpr std::chrono::seconds hello_again{5};
constexpr std::chrono::seconds silent_too_long{10};
constexpr milliseconds first_delay{50};
constexpr milliseconds longest_delay{2000};

struct link_state : state_base {
  static inline const char* name = "peer_link";
  caf::actor owner;
  peer_link_options options;
  monitors watched;
  milliseconds delay = first_delay;
  std::minstd_rand random{std::random_device{}()};
  std::uint64_t attempt = 0;   ///< answers to an earlier one come too late
  caf::strong_actor_ptr peer;  ///< while the link is up
  std::string peer_name;
  log::limiter told;  ///< what has been said of this link
  std::string where;  ///< the address that was tried last
};

using self_ptr = caf::stateful_actor<link_state>*;

// Whom the link is for: its name as configured, and where it was looked for.
std::string whom(const link_state& s) {
  const std::string name =
      s.options.peer.empty() ? "an orchestrator" : "orchestrator " + s.options.peer;
  return s.where.empty() ? name : fmt::format("{} at {}", name, s.where);
}

// The same failure again and again is told at growing intervals.
void retry_later(self_ptr self, const std::string& why) {
  link_state& s = state(self);
  ++s.attempt;
  if (const auto peer = std::exchange(s.peer, nullptr)) {
    s.watched.forget(self, caf::actor_cast<caf::actor>(peer));
    send(self, s.owner, link_down_atom_v, s.peer_name);
  }
  if (const auto skipped = s.told.due(why, clock::now())) {
    log::warn("link", "{}: no link to {}: {} (tried again and again{})", s.options.hello.node(),
              whom(s), why, *skipped > 0 ? fmt::format(", {} times by now", *skipped + 1) : "");
  }
  std::uniform_int_distribution<long> jitter(s.delay.count() / 2, s.delay.count());
  send_to_itself(self, milliseconds(jitter(s.random)), caf::connect_atom_v);
  s.delay = std::min(s.delay * 2, longest_delay);
}

void linked(self_ptr self, const caf::strong_actor_ptr& peer, const wire::Hello& theirs) {
  link_state& s = state(self);
  s.delay = first_delay;
  s.told.clear();
  s.peer = peer;
  s.peer_name = theirs.node();
  log::info("link", "{}: orchestrator {} at {} is connected", s.options.hello.node(), s.peer_name,
            s.where);
  s.watched.watch(self, caf::actor_cast<caf::actor>(peer), [self](const caf::error&) {
    retry_later(self, "it went away or the connection broke");
  });
}

// Empty: it is the one that is looked for.
std::string what_is_wrong(const peer_link_options& o, const wire::Hello& theirs) {
  const wire::Hello& ours = o.hello;
  if (theirs.cluster() != ours.cluster() || theirs.protocol() != ours.protocol()) {
    return fmt::format(
        "{} of cluster {} with protocol {} answers there, and this is cluster {} with protocol {}: "
        "is the address right, and id in [cluster]?",
        theirs.node(), theirs.cluster(), theirs.protocol(), ours.cluster(), ours.protocol());
  }
  if (!o.peer.empty() && theirs.node() != o.peer) {
    return fmt::format("{} answers there: is the address right?", theirs.node());
  }
  if (o.accepts && !o.accepts(theirs.node())) {
    return fmt::format("{} answers there and is already known under another address of the chain",
                       theirs.node());
  }
  return {};
}

void greeted(self_ptr self, const caf::strong_actor_ptr& peer, const wire::Hello& theirs) {
  link_state& s = state(self);
  const std::string wrong = what_is_wrong(s.options, theirs);
  if (!wrong.empty()) return retry_later(self, wrong);
  if (!s.peer) linked(self, peer, theirs);
  send(self, s.owner, link_up_atom_v, s.peer_name, peer);
  send_to_itself(self, hello_again, caf::tick_atom_v, s.attempt);
}

void introduce(self_ptr self, const caf::strong_actor_ptr& handle) {
  link_state& s = state(self);
  const auto peer = caf::actor_cast<orchestrator_actor>(handle);
  const auto limit = s.peer ? silent_too_long : hello_timeout;
  request(self, peer, limit, hello_atom_v, hello(s.options.hello))
      .then(
          [self, handle, attempt = s.attempt](const hello& theirs) {
            if (attempt == state(self).attempt) greeted(self, handle, theirs.value);
          },
          [self, handle, attempt = s.attempt](const caf::error& e) {
            if (attempt != state(self).attempt) return;
            const bool refused = e.category() == caf::atom("lp");
            // A connection over which no answer comes is given up: the next try begins anew, and
            // does not find a handle that CAF remembers.
            if (!refused) disconnect(self->system(), handle->node());
            retry_later(self, (refused ? "it refuses: " : "") + from_caf(e, "its answer").message);
          });
}

// What CAF says of a failure is a number; net knows more.
std::string why_not(self_ptr self, const caf::error& e) {
  if (e == caf::sec::incompatible_application_ids) return "what answers there is no node of ours";
  const std::string known = connect_failure(self->system(), state(self).where);
  return known.empty() ? self->system().render(e) : known;
}

void connect(self_ptr self) {
  link_state& s = state(self);
  const std::uint64_t attempt = ++s.attempt;
  const auto manager = self->system().middleman().actor_handle();
  const endpoint to = s.options.address();
  s.where = to.port == 0 ? std::string() : fmt::format("{}:{}", to.host, to.port);
  if (to.port == 0) return retry_later(self, "no address is known yet");
  request(self, manager, connect_timeout, caf::connect_atom_v, to.host, to.port)
      .then(
          [self, attempt](const caf::node_id&, const caf::strong_actor_ptr& handle,
                          const std::set<std::string>&) {
            if (attempt != state(self).attempt) return;
            if (!handle) return retry_later(self, "nothing of a node is published there");
            introduce(self, handle);
          },
          [self, attempt](const caf::error& e) {
            if (attempt == state(self).attempt) retry_later(self, why_not(self, e));
          });
}

}  // namespace

caf::actor spawn_peer_link(caf::actor_system& system, caf::actor owner, peer_link_options options) {
  return system.spawn([owner, options](self_ptr self) -> caf::behavior {
    state(self).owner = owner;
    state(self).options = options;
    connect(self);
    return {[self](caf::connect_atom) { connect(self); },
            [self](caf::tick_atom, std::uint64_t attempt) {
              const link_state& s = state(self);
              if (attempt == s.attempt && s.peer) introduce(self, s.peer);
            }};
  });
}

}  // namespace lp::actors
