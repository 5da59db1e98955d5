// SPDX-License-Identifier: MIT
// Livepeer's own contracts, deployed and wired on a development chain (anvil): a whole protocol
// that belongs to nobody, for tests and demonstrations.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "payments/chain/contracts.hpp"
#include "payments/chain/wallet.hpp"

namespace lp::payments {

struct dev_contracts_options {
  /// Compiled contracts as npm's @livepeer/sdk has them under abis/contracts.
  std::filesystem::path artifacts;
  std::uint64_t round_length = 50;    ///< blocks
  std::uint64_t unlock_period = 3;    ///< rounds
  std::uint64_t ticket_validity = 2;  ///< rounds
  std::uint64_t usd_per_eth = 3000;   ///< what the price feed says
};

class dev_contracts {
 public:
  /// Deploys everything and initialises the first round. The chain must mine by itself on each
  /// transaction meanwhile. ec::bad_file for artifacts that are missing.
  static result<std::unique_ptr<dev_contracts>> deploy(std::shared_ptr<eth_client> chain,
                                                       const dev_contracts_options& options,
                                                       time_point deadline);

  /// Those that were deployed on this chain before, by any process: their owner's key is the same
  /// everywhere, and no secret. ec::not_found unless all of them are there and ready.
  static result<std::unique_ptr<dev_contracts>> find(std::shared_ptr<eth_client> chain,
                                                     time_point deadline);

  const protocol_addresses& addresses() const { return addresses_; }
  /// A Chainlink aggregator of ETH in USD, or what passes for one.
  const address& feed() const { return feed_; }

  /// Sets an account's ether.
  result<void> give_ether(const address& to, const u256& wei, time_point deadline);
  /// Bonds stake of a new token and registers the address; active from the next round on. The
  /// account needs ether for gas. What of it was done before is not done again.
  result<void> register_orchestrator(const private_key& key, const std::string& service_uri,
                                     time_point deadline);
  result<void> mine(std::uint64_t blocks, time_point deadline);
  /// Initialises the current round unless that is done; true if it was not.
  result<bool> initialize_round(time_point deadline);
  /// Mines to the begin of the next round and initialises it.
  result<void> next_round(time_point deadline);
  /// From now on the price feed says this; 0 or less is a feed that is out of order.
  result<void> set_usd_per_eth(std::int64_t usd, time_point deadline);

 private:
  dev_contracts(std::shared_ptr<eth_client> chain, std::uint64_t chain_id);

  result<void> deploy_all(const dev_contracts_options& options, time_point deadline);
  result<void> configure(const dev_contracts_options& options, time_point deadline);
  result<address> create(const std::string& code, const std::vector<abi::value>& arguments,
                         time_point deadline);
  result<address> proxied(const std::string& name, const std::string& code, time_point deadline);
  result<void> announce(const std::string& name, const address& where, time_point deadline);
  result<void> bond(const private_key& key, time_point deadline);
  result<void> run(wallet& by, const address& to, std::string_view function,
                   const std::vector<abi::value>& arguments, time_point deadline);
  result<void> anvil(std::string_view method, boost::json::array params, time_point deadline);

  std::shared_ptr<eth_client> chain_;
  std::uint64_t chain_id_;
  private_key owner_key_;
  wallet owner_;
  protocol_addresses addresses_;
  address token_, feed_;
  std::string proxy_code_;
};

}  // namespace lp::payments
