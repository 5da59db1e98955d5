// SPDX-License-Identifier: MIT
// What travels in a request and what its check yields. The Protobuf form is net/wire's; converting
// is the actors' business.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "payments/ticket.hpp"

namespace lp::payments {

/// As received: nothing in here is checked yet, except that integers fit.
struct payment {
  ticket_params params;  ///< with `made` from the payment's own expiration parameters
  address sender;
  /// pricePerUnit / pixelsPerUnit; none where the message lacks it or the divisor is zero. It may
  /// be negative, which is refused.
  std::optional<rational> expected_price;
  std::vector<ticket_signature> tickets;
};

/// One ticket with a good signature.
struct checked_ticket {
  ticket_signature signed_by_sender;
  bool won = false;
};

/// What recipient::check() made of a payment, for ledger::receive() and ledger::admit(). Whether
/// its nonces are new is for the ledger to say.
struct checked_payment {
  address sender;
  ticket_params params;
  price agreed;  ///< wei for a unit, authenticated by the parameters
  hash32 recipient_rand;
  rational ev;                 ///< of one ticket, wei
  std::uint64_t l1_block = 0;  ///< when it was checked; see ticket_params::expiration_block
  std::vector<checked_ticket> tickets;  ///< those before the first bad one
  std::optional<error> stopped_by;      ///< why there are fewer than were sent
};

}  // namespace lp::payments
