// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include "actors/caf_compat.hpp"

namespace lp::actors {

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

}  // namespace lp::actors
