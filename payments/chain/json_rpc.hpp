// SPDX-License-Identifier: MIT
// JSON-RPC 2.0 as Ethereum nodes speak it, with several endpoints and a bounded number of tries.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "payments/chain/transport.hpp"

namespace lp::payments {

/// What went wrong with a call. `answered` tells whether a node decided so, and trying again is of
/// no use, or whether no node could be asked.
struct rpc_failure : error {
  bool answered = false;
  int node_code = 0;        ///< the node's number for it, if `answered`
  std::string revert_data;  ///< bytes that the contract gave, if it reverted with some

  /// True if the node said that the contract reverts.
  bool reverted = false;
};

template <class T>
using rpc_result = tl::expected<T, rpc_failure>;

struct rpc_options {
  std::vector<std::string> endpoints;  ///< URLs, the preferred one first; at least one
  milliseconds attempt_timeout{10'000};
  unsigned attempts = 4;  ///< over all endpoints
  milliseconds first_delay{100};
  milliseconds longest_delay{2'000};
};

/// Safe from any thread if the transport is.
class json_rpc {
 public:
  json_rpc(std::shared_ptr<transport> t, rpc_options options);

  /// The member "result" of the node's answer. Where an endpoint does not answer, is out of order
  /// (a status of 5xx or 429) or answers with something that is not JSON-RPC, the next one is
  /// asked, after a growing delay, until `attempts` or `deadline` are used up. An endpoint that
  /// answered stays the preferred one. Errors: ec::unavailable and ec::deadline_exceeded, where no
  /// node was of help; ec::bad_request with `answered` for an error that a node gave.
  rpc_result<boost::json::value> call(std::string_view method, boost::json::array params,
                                      time_point deadline);

  std::size_t endpoint_in_use() const { return preferred_; }

 private:
  rpc_result<boost::json::value> ask(const std::string& url, const std::string& body,
                                     std::uint64_t id, time_point deadline);

  std::shared_ptr<transport> transport_;
  rpc_options options_;
  std::atomic<std::size_t> preferred_{0};
  std::atomic<std::uint64_t> next_id_{1};
};

}  // namespace lp::payments
