// SPDX-License-Identifier: MIT
// What nodes know of the chain between two looks at it, so that those who check tickets need not
// ask an Ethereum node each time.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "payments/chain/chain_reader.hpp"

namespace lp::payments {

struct chain_watch_options {
  address recipient;                   ///< whose part of senders' reserves counts
  milliseconds view_every{5'000};      ///< blocks, rounds and the gas price
  milliseconds funds_every{30'000};    ///< the money of each sender
  milliseconds forget_after{600'000};  ///< a sender that nobody asks about
  milliseconds too_old{60'000};        ///< a view of that age is none
  milliseconds patience{3'000};        ///< how long a question may wait for a first answer
  milliseconds call_timeout{10'000};
  std::size_t max_senders = 10'000;
  u256 max_tip = 5'000'000'000ULL;  ///< wei; see gas_policy
};

/// Has a thread of its own that asks the node. Safe from any thread.
class chain_watch {
 public:
  chain_watch(std::shared_ptr<eth_client> chain, const protocol_addresses& where,
              chain_watch_options options);
  ~chain_watch();
  chain_watch(const chain_watch&) = delete;
  chain_watch& operator=(const chain_watch&) = delete;

  /// At once, but for the very first time, which waits `patience` at most. ec::unavailable, with
  /// the node's trouble, while there is none that is recent.
  result<chain_view> view();

  /// At once, but for a sender that was not asked for before, which waits `patience` at most.
  /// ec::busy beyond max_senders.
  result<sender_funds> funds(const address& sender);

  /// Looks anew, soon: something is known to have changed.
  void refresh(const address& sender);

 private:
  struct entry {
    std::optional<sender_funds> funds;
    std::optional<error> trouble;
    time_point read;   ///< when it was tried last
    time_point good;   ///< when it was read
    time_point asked;  ///< when somebody wanted it
    bool wanted = true;
  };

  void run();
  void read_view(std::unique_lock<std::mutex>& lock);
  void read_funds(std::unique_lock<std::mutex>& lock);
  std::optional<address> next_sender(time_point now);

  chain_reader reader_;
  chain_watch_options options_;
  std::mutex mutex_;
  std::condition_variable work_, news_;
  std::optional<chain_view> view_;
  std::optional<error> view_trouble_;
  time_point view_read_, view_tried_;
  std::map<address, entry> senders_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace lp::payments
