// SPDX-License-Identifier: MIT
// What the command line gave, and what commands need of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "payments/chain/contracts.hpp"
#include "payments/chain/wallet.hpp"
#include "payments/keystore.hpp"

namespace lp::wallet_tool {

struct options {
  std::string keystore = "lp-data/keystore";
  std::string address;  ///< which key; empty: the only one there
  std::string passphrase_file;
  bool light = false;  ///< new keys: the cheaper scrypt
  std::vector<std::string> rpc;
  std::string authority;
  std::string controller;
  std::string max_gas_price = "200gwei";
  unsigned confirmations = 1;
  int timeout_s = 300;
  std::string ledger = "lp-data/ledger.sqlite";

  time_point deadline() const { return clock::now() + std::chrono::seconds(timeout_s); }
};

/// What a command answers: printed as JSON, or line by line.
using answer = result<boost::json::object>;

/// The key file that is meant; ec::not_found, saying how to name or make one.
result<payments::key_file> chosen_key(const options& o);
/// The key itself; asks for the passphrase where neither file nor environment has it.
result<payments::private_key> open_key(const options& o);
/// A passphrase for a new key.
result<payments::passphrase> new_passphrase(const options& o);

/// A node and the contracts that the controller there knows.
struct connection {
  std::shared_ptr<payments::eth_client> client;
  payments::protocol_addresses where;
  std::uint64_t chain_id = 0;
  payments::gas_policy policy;
};
result<connection> connect(const options& o);

/// The address that --address names or the only key has.
result<payments::address> chosen_address(const options& o);

}  // namespace lp::wallet_tool
