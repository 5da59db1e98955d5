// SPDX-License-Identifier: MIT
// Follows a contract's events across reorganisations of the chain, from wherever it stopped.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "payments/chain/eth_client.hpp"

namespace lp::payments {

/// How far the events are read: the last blocks with their hashes, the newest last. As text it is
/// kept by whoever acts on the events, in the same transaction as the deeds.
struct poll_position {
  struct seen_block {
    std::uint64_t number = 0;
    hash32 hash;
  };
  std::deque<seen_block> blocks;

  std::string to_text() const;
  /// ec::bad_file for anything that to_text() did not write.
  static result<poll_position> from_text(const std::string& text);
};

/// What happened since the last time.
struct poll_step {
  /// If set, the chain was reorganised: every event of this block and above is undone.
  std::optional<std::uint64_t> undone_from;
  std::vector<event_log> events;  ///< in order
  poll_position position;         ///< where the next step begins
  bool complete = true;           ///< false: more is there already, poll again
};

struct poll_options {
  address contract;
  std::vector<hash32> topics;          ///< first topics; empty: every event
  std::uint64_t first_block = 0;       ///< where a new position begins
  std::uint64_t blocks_a_step = 1000;  ///< nodes bound what one question may cover
  std::size_t remembered = 128;        ///< reorganisations deeper than this begin there again
};

class event_poller {
 public:
  event_poller(std::shared_ptr<eth_client> chain, poll_options options)
      : chain_(std::move(chain)), options_(std::move(options)) {}

  /// One step from `from`. Fails without effect; a reorganisation in the middle of it is noticed
  /// and ends as ec::unavailable, to be polled again.
  result<poll_step> poll(const poll_position& from, time_point deadline);

 private:
  result<std::optional<std::uint64_t>> rewind(poll_position& p, time_point deadline);

  std::shared_ptr<eth_client> chain_;
  poll_options options_;
};

}  // namespace lp::payments
