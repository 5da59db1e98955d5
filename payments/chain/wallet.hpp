// SPDX-License-Identifier: MIT
// Sends transactions of one key: gas and fees within caps, nonces, replacement of what is stuck.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "payments/chain/eth_client.hpp"
#include "payments/chain/transaction.hpp"

namespace lp::payments {

struct gas_policy {
  /// Wei per gas that are never exceeded, tip included. 200 gwei.
  u256 max_fee = 200'000'000'000ULL;
  u256 max_tip = 5'000'000'000ULL;    ///< wei per gas for the block's maker
  std::uint64_t max_gas = 5'000'000;  ///< of one transaction
  unsigned margin_percent = 20;       ///< on top of the node's estimate of gas
  /// By how much a replacement raises both fees; nodes want at least 10.
  unsigned bump_percent = 15;
  milliseconds stuck_after{60'000};  ///< then a waiting transaction is replaced
  unsigned confirmations = 1;        ///< blocks, the transaction's own included
  milliseconds poll_interval{250};   ///< between looks at a waiting transaction
};

struct fee_pair {
  u256 tip;
  u256 max_fee;
  u256 expected;  ///< what would be paid now
};

/// How a node took a transaction.
enum class broadcast_outcome {
  accepted,     ///< or known already
  nonce_taken,  ///< another transaction with that nonce is mined or waits
  refused,      ///< not now: not enough ether, fee too low, ...
};

struct broadcast_result {
  broadcast_outcome outcome = broadcast_outcome::accepted;
  std::string reason;  ///< the node's words, unless accepted
};

/// Safe from any thread; transactions are prepared one at a time. The key must outlive it.
class wallet {
 public:
  wallet(std::shared_ptr<eth_client> chain, const private_key& key, std::uint64_t chain_id,
         gas_policy policy);

  const payments::address& address() const { return key_.address(); }
  eth_client& chain() { return *chain_; }
  std::uint64_t chain_id() const { return chain_id_; }
  const gas_policy& policy() const { return policy_; }

  /// What a transaction should offer now: twice the base fee and the tip, within the caps.
  /// ec::unavailable if the chain asks for more than the caps allow.
  result<fee_pair> fees(time_point deadline);

  /// A transaction with gas, fees and the next nonce filled in. A failure with `reverted` tells
  /// that the contract would refuse it.
  rpc_result<transaction> prepare(const message_call& c, time_point deadline);

  /// The same with the fees raised, so that nodes take it in the other's place. ec::unavailable at
  /// the cap.
  result<transaction> replacement(const transaction& stuck, time_point deadline);

  signed_transaction sign(const transaction& t) const { return payments::sign(t, key_); }
  result<broadcast_result> broadcast(const std::string& raw, time_point deadline);

  /// Prepares, sends and waits until the transaction is confirmed, replacing it when it is stuck.
  /// A failure with `reverted` has the contract's reason, whether found before or after sending.
  rpc_result<mined_transaction> execute(const message_call& c, time_point deadline);

  /// Why a mined transaction failed: the call is run again on the block's state.
  std::string failure_reason(const message_call& c, const mined_transaction& r,
                             time_point deadline);

  /// The mined_transaction once it has `policy().confirmations`; nothing before.
  result<std::optional<mined_transaction>> confirmed(const hash32& transaction,
                                                     time_point deadline);

 private:
  rpc_result<mined_transaction> wait(const message_call& c, transaction t, signed_transaction sent,
                                     time_point deadline);

  std::shared_ptr<eth_client> chain_;
  const private_key& key_;
  std::uint64_t chain_id_;
  gas_policy policy_;
  std::mutex sending_;
};

}  // namespace lp::payments
