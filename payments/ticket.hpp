// SPDX-License-Identifier: MIT
// Lottery tickets: a signed promise to pay `face_value` with probability win_prob / (2^256 - 1).
// Layouts and rounding are those of the deployed TicketBroker contract and of go-livepeer 0.9.1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "payments/address.hpp"
#include "payments/fixed_bytes.hpp"
#include "payments/keys.hpp"
#include "payments/price.hpp"
#include "payments/u256.hpp"

namespace lp::payments {

/// When a ticket was made, in the chain's rounds; both zero where there is no chain.
struct creation {
  std::uint64_t round = 0;
  hash32 block_hash;  ///< of the round's first block

  bool operator==(const creation&) const = default;
};

/// What a recipient offers a sender: one set is used for many tickets, which differ by nonce.
struct ticket_params {
  address recipient;
  u256 face_value;             ///< wei
  u256 win_prob;               ///< numerator over 2^256 - 1
  hash32 recipient_rand_hash;  ///< keccak256 of the recipient's secret number
  u256 seed;                   ///< from which the recipient derives that number again
  u256 expiration_block;       ///< tickets are taken before this L1 block
  creation made;

  bool operator==(const ticket_params&) const = default;
};

/// What the sender adds for each ticket.
struct ticket_signature {
  std::uint32_t nonce = 0;  ///< from 1, different for each ticket of one set of parameters
  signature sig;            ///< personal message over ticket_hash()

  bool operator==(const ticket_signature&) const = default;
};

/// One whole ticket, as the contract takes it.
struct ticket {
  address recipient;
  address sender;
  u256 face_value;
  u256 win_prob;
  std::uint32_t nonce = 0;
  hash32 recipient_rand_hash;
  creation made;

  bool operator==(const ticket&) const = default;
};

/// The ticket with number `nonce` of these parameters.
ticket make_ticket(const ticket_params& params, const address& sender, std::uint32_t nonce);

/// uint256 round and block hash, 64 bytes; empty if both are zero.
std::string aux_data(const creation& made);

/// keccak256(recipient, sender, face value, win probability, nonce, rand hash, aux data), packed,
/// integers as 32 bytes. It does not cover the signature.
hash32 ticket_hash(const ticket& t);

/// What decides: keccak256(signature, rand) as a number. The ticket wins if it is below win_prob.
u256 win_value(const signature& sig, const hash32& recipient_rand);
bool wins(const ticket& t, const signature& sig, const hash32& recipient_rand);

/// keccak256 of the recipient's number.
hash32 rand_hash(const hash32& recipient_rand);

/// face_value * win_prob / (2^256 - 1), exactly, in wei.
rational expected_value(const u256& face_value, const u256& win_prob);
rational expected_value(const ticket_params& params);

/// The recipient's number, derived and not stored: HMAC-SHA256 with the node's secret over seed,
/// sender, face value, win probability, expiration block, price (numerator, then denominator in
/// lowest terms) and aux data, integers as minimal big-endian. All of these are thereby
/// authenticated when a payment comes back. `params.recipient` and `recipient_rand_hash` are not
/// read.
hash32 recipient_rand(const hash32& node_secret, const address& sender, const ticket_params& params,
                      const price& p);

/// How a recipient sizes tickets. A winner must be worth many times what redeeming it costs.
struct face_value_rule {
  u256 ev;                                 ///< expected value of a ticket, whole wei
  u256 redeem_gas = 350'000;               ///< 350,000 on L1, 1,200,000 on Arbitrum
  u256 gas_price;                          ///< wei, now
  u256 average_gas_price = 3'000'000'000;  ///< wei; a price spike does not stop payments
  std::uint32_t tx_cost_multiplier = 100;  ///< face value over the cost of redeeming
  std::optional<u256> max_float;           ///< what the sender's reserve covers; none: no bound
  std::optional<u256> max_face_value;      ///< the operator's own bound
};

/// redeem_gas * gas_price * multiplier; ev * multiplier if that is less than ev; then at most
/// max_float and max_face_value. 0 if ev is 0. ec::payment_required "insufficient sender reserve"
/// if the result is below ev, or below the cost of redeeming at both gas prices.
result<u256> face_value(const face_value_rule& rule);

/// The probability at which a ticket of that face value is worth ev. Rounds as the reference does:
/// up wherever the low 64 bits of (2^256 - 1) mod face_value are not zero. 0 for face value 0.
u256 win_probability(const u256& face_value, const u256& ev);

}  // namespace lp::payments
