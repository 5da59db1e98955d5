// SPDX-License-Identifier: MIT
// Transactions of type 2 (EIP-1559), signed here: keys never leave the process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "payments/keys.hpp"
#include "payments/u256.hpp"

namespace lp::payments {

struct transaction {
  std::uint64_t chain_id = 0;
  std::uint64_t nonce = 0;
  u256 max_priority_fee;  ///< wei per gas
  u256 max_fee;           ///< wei per gas, the priority fee included
  std::uint64_t gas_limit = 0;
  std::optional<address> to;  ///< none: creates a contract
  u256 value;                 ///< wei
  std::string data;
};

struct signed_transaction {
  std::string raw;  ///< what eth_sendRawTransaction takes
  hash32 hash;
};

signed_transaction sign(const transaction& t, const private_key& key);

/// Where the contract that `creator` makes with that nonce lies.
address created_address(const address& creator, std::uint64_t nonce);

}  // namespace lp::payments
