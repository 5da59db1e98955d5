// SPDX-License-Identifier: MIT
// The Livepeer protocol's contracts, as far as a node reads them. Views alone; what changes a
// contract's state is a message_call for a wallet to send.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "payments/chain/abi.hpp"
#include "payments/chain/eth_client.hpp"

namespace lp::payments {

/// One contract at an address. Calls are told by their Solidity signature.
class contract {
 public:
  contract(std::shared_ptr<eth_client> chain, const payments::address& where)
      : chain_(std::move(chain)), address_(where) {}

  const payments::address& address() const { return address_; }
  eth_client& chain() const { return *chain_; }

  /// A view's bytes; ec::bad_request with the contract's reason if it reverts.
  result<std::string> view(std::string_view function, const std::vector<abi::value>& arguments,
                           time_point deadline) const;
  /// A view that returns one word.
  result<u256> number(std::string_view function, const std::vector<abi::value>& arguments,
                      time_point deadline) const;
  result<std::uint64_t> small_number(std::string_view function,
                                     const std::vector<abi::value>& arguments,
                                     time_point deadline) const;

  /// For wallet::execute().
  message_call call(std::string_view function, const std::vector<abi::value>& arguments,
                    const u256& value = 0) const;

 private:
  std::shared_ptr<eth_client> chain_;
  payments::address address_;
};

/// Where the protocol's contracts are: one controller knows them by name.
struct protocol_addresses {
  address controller, ticket_broker, rounds_manager, bonding_manager, service_registry;
};

/// Asks the controller; ec::bad_config if there is no contract at its address or it knows none of
/// that name.
result<protocol_addresses> find_protocol(const std::shared_ptr<eth_client>& chain,
                                         const address& controller, time_point deadline);

/// What RoundsManager tells about now.
struct round_state {
  std::uint64_t current = 0;
  std::uint64_t last_initialized = 0;
  bool initialized = false;  ///< the current one; nothing can be redeemed in one that is not
  /// The block that tickets were bound to in the last initialised round, as they carry it.
  hash32 block_hash;
  /// The block number that rounds are counted in, which on layer 2 is that of layer 1.
  std::uint64_t block = 0;
};

class rounds_manager : public contract {
 public:
  using contract::contract;
  result<round_state> state(time_point deadline) const;
  /// Zero for a round that was not initialised.
  result<hash32> block_hash(std::uint64_t round, time_point deadline) const;
};

class service_registry : public contract {
 public:
  using contract::contract;
  /// Where an orchestrator is reached; empty if it has not said.
  result<std::string> service_uri(const payments::address& orchestrator, time_point deadline) const;
};

class bonding_manager : public contract {
 public:
  using contract::contract;
  result<bool> is_active(const payments::address& orchestrator, time_point deadline) const;
  result<bool> is_registered(const payments::address& orchestrator, time_point deadline) const;
  result<std::uint64_t> pool_size(time_point deadline) const;
  /// Orchestrators by stake, the largest first; at most `most`.
  result<std::vector<payments::address>> orchestrators(std::size_t most, time_point deadline) const;
};

/// A Chainlink aggregator.
class chainlink_aggregator : public contract {
 public:
  using contract::contract;

  struct reading {
    rational price;             ///< of one unit of the base currency (ETH), in the quote (USD)
    std::uint64_t updated = 0;  ///< seconds since 1970
  };
  /// latestRoundData() with its decimals() taken off. ec::unavailable for a price that is not
  /// positive, is of an unfinished round, or is older than `most_age` at `now` (seconds since
  /// 1970).
  result<reading> latest(std::uint64_t now, std::chrono::seconds most_age,
                         time_point deadline) const;
};

}  // namespace lp::payments
