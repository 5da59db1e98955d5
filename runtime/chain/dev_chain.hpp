// SPDX-License-Identifier: MIT
// A whole chain of one's own: anvil with Livepeer's contracts, started and ended with this object.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "payments/chain/dev_contracts.hpp"
#include "runtime/chain/child_process.hpp"

namespace lp::runtime {

struct dev_chain_options {
  /// The folder that tools/chain/install made; empty: find_chain_tools().
  std::filesystem::path tools;
  std::uint16_t port = 0;  ///< on 127.0.0.1; 0: a free one
  /// A block comes each time, or with each transaction if 0. Whoever adds orchestrators and senders
  /// does that faster with 0, and calls mine_every() after it.
  std::chrono::seconds block_time{0};
  /// Rounds are initialised as they begin. Tests do that themselves.
  bool keep_rounds = false;
  /// File that keeps the chain between runs of anvil; empty: none.
  std::filesystem::path state;
  /// Blocks. Tickets can be redeemed in the round they were made in and the next, and only once
  /// their parameters have expired: it should be a good deal longer than those live.
  std::uint64_t round_length = 50;
  std::uint64_t usd_per_eth = 3000;
  /// If a development chain listens on `port` already, then that one is used, which ends when its
  /// owner does. It may be one whose contracts are still on their way.
  bool shared = false;
  bool free_gas = false;  ///< the base fee is 0: whoever offers no tip pays nothing
};

/// The folder with "anvil" and "contracts": $LP_CHAIN_DIR, or build/chain beside this program's
/// build folder or below the working directory. ec::bad_file, saying what installs it, if there is
/// none.
result<std::filesystem::path> find_chain_tools();

/// Amounts are wei. Safe from any thread.
class dev_chain {
 public:
  /// Starts anvil and deploys the contracts, a matter of about two seconds, unless its state has
  /// them.
  static result<std::unique_ptr<dev_chain>> start(const dev_chain_options& options,
                                                  time_point deadline);
  ~dev_chain();
  dev_chain(const dev_chain&) = delete;
  dev_chain& operator=(const dev_chain&) = delete;

  /// "http://127.0.0.1:PORT".
  const std::string& url() const { return url_; }
  std::uint64_t chain_id() const { return chain_id_; }
  const payments::protocol_addresses& contracts() const { return protocol_->addresses(); }
  /// A Chainlink feed of ETH in USD.
  const payments::address& price_feed() const { return protocol_->feed(); }
  std::shared_ptr<payments::eth_client> client() const { return client_; }
  payments::dev_contracts& protocol() { return *protocol_; }

  /// Whether this object started the chain.
  bool owner() const { return node_ != nullptr; }

  // Several processes may do these at once with one chain: they take turns.

  /// Gives the account 1000 ether and makes it an orchestrator that can be paid at once: a new
  /// round is begun for it. One that is gets ether and, if it moved, its address changed.
  result<void> add_orchestrator(const payments::private_key& key, const std::string& service_uri,
                                time_point deadline);
  /// Gives the account 1000 ether and funds a sender's deposit and reserve from it.
  result<void> add_sender(const payments::private_key& key, const payments::u256& deposit,
                          const payments::u256& reserve, time_point deadline);

  /// From now on a block comes each `interval`, transactions or not.
  result<void> mine_every(std::chrono::seconds interval, time_point deadline);

  /// Ends the node, as a crash does or in order, and starts it again on the same port.
  result<void> restart(bool crash, time_point deadline);
  void stop();

 private:
  explicit dev_chain(dev_chain_options options) : options_(std::move(options)) {}

  result<void> open(time_point deadline);
  result<bool> join(time_point deadline);
  result<void> launch(time_point deadline);
  void use(std::uint16_t port);
  void keep_rounds();

  dev_chain_options options_;
  std::string url_;
  std::uint64_t chain_id_ = 0;
  std::unique_ptr<child_process> node_;
  std::shared_ptr<payments::eth_client> client_;
  std::unique_ptr<payments::dev_contracts> protocol_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  std::thread keeper_;
};

}  // namespace lp::runtime
