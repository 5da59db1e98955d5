// SPDX-License-Identifier: MIT
// The orchestrator's side of tickets: offers parameters and checks what comes back. It keeps
// nothing but a secret: what it needs to know of an offer comes back with the payment.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "payments/chain_view.hpp"
#include "payments/payment.hpp"
#include "payments/price.hpp"

namespace lp::payments {

/// Defaults are the reference's.
struct recipient_config {
  u256 ticket_ev = 8'000'000'000;          ///< wei
  u256 redeem_gas = 350'000;               ///< 1,200,000 on Arbitrum
  u256 average_gas_price = 3'000'000'000;  ///< wei
  std::uint32_t tx_cost_multiplier = 100;
  std::optional<u256> max_face_value;  ///< wei; also bounds it where there is no chain
  std::uint64_t params_lifetime = 40;  ///< L1 blocks, about 8 minutes
  std::size_t max_tickets = 600;       ///< in one payment
};

/// Whom and what an offer is for. A payment made for one scope is refused for another.
struct offer_terms {
  address sender;
  price agreed;       ///< wei for a unit; above zero
  std::string scope;  ///< what is bought: "<capability>_<model>"
};

/// Safe from any thread: nothing changes after construction.
class recipient {
 public:
  /// `node_secret` is ledger::node_secret(), so that offers outlive a restart.
  recipient(const address& me, const hash32& node_secret, recipient_config config);

  /// Fresh parameters for this sender, price and scope. `funds` is none without a chain; `pending`
  /// is ledger::pending_winnings(sender). ec::payment_required if the sender's funds do not
  /// suffice ("insufficient sender reserve", see check_funds()), ec::bad_config for price 0.
  result<ticket_params> offer(const offer_terms& terms, const chain_view& view,
                              const std::optional<sender_funds>& funds, const u256& pending) const;

  /// Checks everything that needs no memory, in the reference's order: tickets and price are there
  /// and above zero; the sender's funds; recipient, sender, recipientRand (which authenticates
  /// price, scope and every parameter); then each signature and whether it wins. Fails, so that
  /// nothing is credited, for all but the signatures: the first bad one ends the list
  /// (checked_payment::stopped_by). ec::payment_required with the reference's texts, for example
  /// "invalid ticket recipient"; ec::payment_expired for an offer that was made while blocks were
  /// far ahead of now, which would hold for too long. It costs about 40 us a ticket: not for an
  /// actor's own thread.
  result<checked_payment> check(const payment& p, std::string_view scope, const chain_view& view,
                                const std::optional<sender_funds>& funds) const;

  const address& me() const { return me_; }
  const recipient_config& config() const { return config_; }

 private:
  u256 make_seed(const ticket_params& params, const offer_terms& terms,
                 std::string_view nonce) const;
  result<void> check_origin(const payment& p, std::string_view scope, hash32& rand) const;

  address me_;
  hash32 node_secret_;
  hash32 seed_key_;
  recipient_config config_;
};

}  // namespace lp::payments
