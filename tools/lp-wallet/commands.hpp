// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "tools/lp-wallet/options.hpp"

namespace lp::wallet_tool {

// Keys.
answer create(const options& o);
answer import_key(const options& o, const std::string& file);
answer show_addresses(const options& o);

// Ether on the chain.
answer balance(const options& o);
answer fund(const options& o, const std::string& deposit, const std::string& reserve);
answer unlock(const options& o, bool cancel);
answer withdraw(const options& o);

// The ledger of a node.
answer list_tickets(const options& o, const std::string& state, std::size_t limit);
answer show_ticket(const options& o, const std::string& hash);
answer redeem(const options& o);
answer audit(const options& o, bool signatures);

struct dev_chain_request {
  std::uint16_t port = 8545;
  unsigned block_time_s = 0;
  std::uint64_t round_length = 50;
  std::string state;
  std::vector<std::string> orchestrators;  ///< "ADDRESS=URI", keys of the keystore
  std::vector<std::string> senders;        ///< addresses, keys of the keystore
  std::string deposit = "10eth";
  std::string reserve = "10eth";
};
/// Starts the chain, calls `ready` with its description, and runs until SIGINT or SIGTERM.
answer run_dev_chain(const options& o, const dev_chain_request& request,
                     void (*ready)(const boost::json::object&));

}  // namespace lp::wallet_tool
