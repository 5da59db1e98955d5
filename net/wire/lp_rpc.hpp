// SPDX-License-Identifier: MIT
// Payments and prices as plain values, and the checked way from and to their messages. A message is
// taken whole or not at all: every length, sign and size is checked, and an error names the field.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "net/wire/lp_rpc.pb.h"
#include "runtime/base/error.hpp"

namespace lp::wire {

using address_bytes = std::array<std::uint8_t, 20>;
using signature_bytes = std::array<std::uint8_t, 65>;  ///< r, s, v
/// 32 bytes, or a 256-bit integer in big-endian order with its leading zeros.
using word = std::array<std::uint8_t, 32>;

/// Tickets that one payment may hold: as many as one set of parameters has nonces.
constexpr int most_tickets = 600;

struct price_value {
  std::int64_t wei = 0;    ///< at least 1 in a payment, at least 0 in an orchestrator's info
  std::int64_t units = 1;  ///< at least 1
  std::uint32_t capability = 0;
  std::string model;
};

struct ticket_terms_value {
  address_bytes recipient{};
  word face_value{};
  word win_prob{};
  word recipient_rand_hash{};
  word seed{};
  std::uint64_t expiration_block = 0;
  std::uint64_t creation_round = 0;
  word creation_round_block_hash{};
};

struct ticket_value {
  std::uint32_t sender_nonce = 0;
  signature_bytes signature{};
};

struct payment_value {
  ticket_terms_value terms;
  address_bytes sender{};
  std::vector<ticket_value> tickets;  ///< may be empty: a payment from credit
  price_value price;
};

struct info_value {
  std::string uri;
  address_bytes address{};
  price_value price;
  ticket_terms_value terms;  ///< zeros where the price is zero: then there are no tickets
};

/// ec::bad_request, "payment.ticket_params.seed: expected at most 32 bytes, not 33".
result<payment_value> read_payment(const rpc::Payment& p);
result<info_value> read_info(const rpc::OrchestratorInfo& i);

rpc::Payment write_payment(const payment_value& p);
rpc::OrchestratorInfo write_info(const info_value& i);

/// The shortest big-endian form: empty for zero.
std::string minimal_bytes(const word& w);

/// Bytes of a fixed length; `field` is the name for the message.
template <std::size_t N>
result<std::array<std::uint8_t, N>> fixed_bytes(const std::string& bytes, const std::string& field);

}  // namespace lp::wire
