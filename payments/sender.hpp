// SPDX-License-Identifier: MIT
// The gateway's side of tickets: judges what an orchestrator offers, says how many tickets a job
// needs and signs them. Nonces and credit are the ledger's (ledger::fund()), so that neither a
// crash nor two jobs at once use one twice.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "payments/chain_view.hpp"
#include "payments/keys.hpp"
#include "payments/payment.hpp"

namespace lp::payments {

/// Defaults are the reference's, except where it has no such bound.
struct sender_config {
  u256 max_ticket_ev = 3'000'000'000'000;  ///< wei, of one ticket
  u256 max_total_ev = 20'000'000'000'000;  ///< wei, of one payment
  std::uint32_t deposit_multiplier = 1;    ///< face value at most deposit / this
  std::uint32_t max_nonce = 600;           ///< tickets of one set of parameters
  /// Wei that one orchestrator may owe us: credit there and jobs under way. Bounds what is lost to
  /// one that takes payment and does not deliver.
  u256 max_exposure = 100'000'000'000'000;
};

/// Are these parameters fit to be paid with, now? `expected` is the orchestrator that we believe to
/// speak to. ec::payment_expired "TicketParams expired" if too few blocks are left (ask for new
/// ones); ec::payment_required with the reference's texts for the rest.
result<void> check_offer(const ticket_params& offer, const address& expected,
                         const chain_view& view, const std::optional<sender_funds>& funds,
                         const sender_config& config);

/// ec::over_budget if the price of a unit is more than twice what it was when the session began, or
/// above `max_price` (what this request may pay a unit).
result<void> check_price(const price& now, const price& at_start,
                         const std::optional<price>& max_price);

/// How many tickets of value `ev` raise credit `existing` to at least `needed`; 0 if it is there
/// already. `ev` must be above zero.
integer tickets_needed(const rational& existing, const rational& needed, const rational& ev);

/// tickets_needed(), if their total stays within max_total_ev: ec::over_budget otherwise.
result<std::uint32_t> plan_tickets(const rational& existing, const rational& needed,
                                   const rational& ev, const sender_config& config);

/// Tickets first_nonce, first_nonce + 1, ... of these parameters. About 40 us each.
std::vector<ticket_signature> sign_tickets(const private_key& key, const ticket_params& params,
                                           std::uint32_t first_nonce, std::uint32_t count);

}  // namespace lp::payments
