// SPDX-License-Identifier: MIT
// The seam to CAF: every name that differs between 0.17.6 and 1.x is here and nowhere else.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <google/protobuf/message.h>

#include <caf/actor_addr.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_clock.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/typed_broker.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/wire_body.hpp"

// CAF 1.x defines CAF_VERSION too (an octal value); only it has the _MAJOR macro.
#if defined(CAF_VERSION_MAJOR)
#error "CAF 1.x is prepared for in this file and not yet built against"
#endif

namespace lp::actors {

template <class Signature>
struct signature;
template <class R, class... Args>
struct signature<R(Args...)> {
  using type = typename caf::replies_to<Args...>::template with<R>;
};
template <class... Args>
struct signature<void(Args...)> {
  using type = caf::reacts_to<Args...>;
};

/// typed_actor<R(A...), void(B...)>: the notation of CAF 1.x.
template <class... Signatures>
using typed_actor = caf::typed_actor<typename signature<Signatures>::type...>;

/// An actor's state. State structs derive from this: CAF 0.17.6 tries State(self) first, and C++20
/// would let that initialise the first member of an aggregate.
struct state_base {
  state_base() = default;
  state_base(const state_base&) = delete;
  state_base& operator=(const state_base&) = delete;
};

template <class Self>
auto& state(Self* self) {
  return self->state;
}

template <class... Ts>
inline constexpr bool is_body_message = false;
template <caf::atom_value A, class P>
inline constexpr bool is_body_message<caf::atom_constant<A>, body<P>> = true;

/// Writes a message to another node straight into the connection; see network_backend. `from` is an
/// actor of the network thread and the one that runs.
void send_to_node(caf::io::abstract_broker& from, const caf::strong_actor_ptr& to,
                  caf::message what);

/// The same for an atom and a Protobuf body that have a message_form; false, and nothing done, for
/// others.
bool send_body_to_node(caf::io::abstract_broker& from, const caf::strong_actor_ptr& to,
                       caf::atom_value what, const google::protobuf::Message& value);

template <class Self, class Handle, class... Ts>
void send(Self* self, const Handle& to, Ts&&... xs) {
  if constexpr (std::is_base_of_v<caf::io::abstract_broker, Self>) {
    if (to && to.node() != self->node()) {
      const auto there = caf::actor_cast<caf::strong_actor_ptr>(to);
      if constexpr (is_body_message<std::decay_t<Ts>...>) {
        const auto& [atom, content] = std::tie(xs...);
        if (send_body_to_node(*self, there, atom, content.value)) return;
      }
      return send_to_node(*self, there, caf::make_message(std::forward<Ts>(xs)...));
    }
  }
  self->send(to, std::forward<Ts>(xs)...);
}

/// Sends a body that the sender keeps; it is copied only where it does not go to another node.
template <class Self, class Handle, class Atom, class P>
void send_kept(Self* self, const Handle& to, Atom atom, const P& value) {
  if (to && to.node() != self->node()) {
    const auto there = caf::actor_cast<caf::strong_actor_ptr>(to);
    if (send_body_to_node(*self, there, atom, value)) return;
  }
  send(self, to, atom, body<P>(value));
}

/// Spawns an actor on the node's network thread, as a broker without connections: a message from
/// another node reaches it, and its answer leaves, without a change of thread. For actors whose
/// handlers only decide and forward. Its function takes a `stateful_broker_pointer`.
template <class F>
auto spawn_on_network_thread(caf::actor_system& system, F f) {
  return system.middleman().spawn_broker(std::move(f));
}

/// Sends to an actor of the network thread once the connections have been looked after.
template <class Self, class Handle, class... Ts>
void send_after_others(Self* self, const Handle& to, Ts... xs) {
  self->backend().post([to, xs...] { caf::anon_send(to, xs...); });
}

/// Sends from a thread that is no actor.
template <class Handle, class... Ts>
void post(const Handle& to, Ts&&... xs) {
  caf::anon_send(to, std::forward<Ts>(xs)...);
}

template <class Self, class Handle, class Duration, class... Ts>
auto request(Self* self, const Handle& to, Duration timeout, Ts&&... xs) {
  return self->request(to, timeout, std::forward<Ts>(xs)...);
}

/// The running actor's own handle.
template <class Self>
caf::strong_actor_ptr own_handle(Self* self) {
  return caf::strong_actor_ptr{self->ctrl()};
}

/// A message to the running actor itself after `delay`, without a sender. With one, as
/// self->delayed_send() makes it, an actor that ends while the message lies in its mailbox would be
/// kept by its own mailbox for ever (CAF 0.17.6).
template <class Self, class Duration, class... Ts>
void send_to_itself(Self* self, Duration delay, Ts&&... xs) {
  caf::actor_clock& clock = self->system().clock();
  clock.schedule_message(
      clock.now() + delay, own_handle(self),
      caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, std::forward<Ts>(xs)...));
}

/// A handle that keeps nothing alive, for callbacks from threads that may outlive the actor.
template <class Self>
caf::weak_actor_ptr weak_handle(Self* self) {
  return caf::weak_actor_ptr{self->ctrl()};
}

/// Sends to an actor from such a callback, if it is still there.
template <class Handle, class... Ts>
void post_weak(const caf::weak_actor_ptr& to, Ts&&... xs) {
  if (const caf::strong_actor_ptr there = to.lock()) {
    caf::anon_send(caf::actor_cast<Handle>(there), std::forward<Ts>(xs)...);
  }
}

inline bool failed(const caf::error& e) {
  return static_cast<bool>(e);
}

/// Monitors with a callback each, as 1.x has them. A member of the actor's state. One watch an
/// actor; watching again replaces the callback.
class monitors {
 public:
  using callback = std::function<void(const caf::error&)>;

  template <class Self, class Handle>
  void watch(Self* self, const Handle& whom, callback f) {
    if (!installed_) {
      installed_ = true;
      self->set_down_handler([this](caf::down_msg& down) { fire(down); });
    }
    const auto address = caf::actor_cast<caf::actor_addr>(whom);
    const bool known = callbacks_.count(address) > 0;
    callbacks_[address] = std::move(f);
    if (!known) self->monitor(whom);
  }

  template <class Self, class Handle>
  void forget(Self* self, const Handle& whom) {
    if (callbacks_.erase(caf::actor_cast<caf::actor_addr>(whom)) > 0) self->demonitor(whom);
  }

 private:
  void fire(caf::down_msg& down) {
    const auto found = callbacks_.find(down.source);
    if (found == callbacks_.end()) return;
    const callback f = std::move(found->second);
    callbacks_.erase(found);
    f(down.reason);
  }

  bool installed_ = false;
  std::map<caf::actor_addr, callback> callbacks_;
};

}  // namespace lp::actors
