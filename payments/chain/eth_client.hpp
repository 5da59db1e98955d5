// SPDX-License-Identifier: MIT
// What is asked of an Ethereum node, typed. Every call ends by its deadline; errors are those of
// json_rpc::call(), and ec::bad_request for answers of another form.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "payments/chain/json_rpc.hpp"
#include "payments/chain/quantity.hpp"

namespace lp::payments {

struct block_head {
  std::uint64_t number = 0;
  hash32 hash;
  hash32 parent;
  std::uint64_t time = 0;  ///< seconds since 1970
  u256 base_fee;           ///< wei per gas; 0 on chains without EIP-1559
};

struct event_log {
  address contract;
  std::vector<hash32> topics;
  std::string data;
  std::uint64_t block = 0;
  hash32 block_hash;
  hash32 transaction;
  std::uint64_t index = 0;  ///< within the block
};

struct mined_transaction {
  hash32 transaction;
  bool succeeded = false;
  std::uint64_t block = 0;
  hash32 block_hash;
  std::uint64_t gas_used = 0;
  u256 gas_price;                  ///< wei per gas that was paid
  std::optional<address> created;  ///< the new contract
  std::vector<event_log> logs;
};

/// A message call: what eth_call and eth_estimateGas take.
struct message_call {
  std::optional<address> from;
  std::optional<address> to;  ///< none: creates a contract
  u256 value;
  std::string data;
  /// What the transaction may use; 0: what the node estimates. Estimates are of no use for calls
  /// that go on when an inner call fails, such as redeeming many tickets: the least gas that does
  /// not fail as a whole is too little for the parts.
  std::uint64_t gas = 0;
};

/// Which logs to fetch: of `contract`, with any of `topics` as their first, of blocks `first` to
/// `last`, both included.
struct log_filter {
  address contract;
  std::vector<hash32> topics;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

/// Safe from any thread if the transport is.
class eth_client {
 public:
  explicit eth_client(std::shared_ptr<json_rpc> rpc) : rpc_(std::move(rpc)) {}

  result<std::uint64_t> chain_id(time_point deadline);
  result<std::uint64_t> block_number(time_point deadline);
  /// The newest block, or nothing where the chain has no block of that number (yet).
  result<block_head> latest_block(time_point deadline);
  result<std::optional<block_head>> block(std::uint64_t number, time_point deadline);

  result<u256> balance(const address& of, time_point deadline);
  /// Nonces used; those of waiting transactions too, if `pending`.
  result<std::uint64_t> transaction_count(const address& of, bool pending, time_point deadline);
  result<std::string> code(const address& of, time_point deadline);
  result<u256> priority_fee(time_point deadline);

  /// `at`: the state after that block; none: the newest.
  rpc_result<std::string> call(const message_call& c, time_point deadline,
                               std::optional<std::uint64_t> at = std::nullopt);
  rpc_result<std::uint64_t> estimate_gas(const message_call& c, time_point deadline);
  rpc_result<hash32> send_raw(const std::string& raw, time_point deadline);
  /// Nothing while the transaction waits or where it is unknown.
  result<std::optional<mined_transaction>> transaction_receipt(const hash32& transaction,
                                                               time_point deadline);
  /// True if the node knows the transaction, mined or waiting.
  result<bool> knows_transaction(const hash32& transaction, time_point deadline);
  result<std::vector<event_log>> logs(const log_filter& filter, time_point deadline);

  json_rpc& rpc() { return *rpc_; }

 private:
  result<boost::json::value> ask(std::string_view method, boost::json::array params,
                                 time_point deadline);
  result<std::optional<block_head>> head(boost::json::value which, time_point deadline);

  std::shared_ptr<json_rpc> rpc_;
};

}  // namespace lp::payments
