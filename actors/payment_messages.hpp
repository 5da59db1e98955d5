// SPDX-License-Identifier: MIT
// What a gateway, its payer and its HTTP side say to each other about money; all local.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/actor_control_block.hpp>

#include "net/wire/cluster.pb.h"
#include "payments/ledger.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::actors {

/// A job that the gateway is about to send to `node`, which may want to be paid.
struct payment_order {
  std::string node;
  caf::strong_actor_ptr orchestrator;
  wire::JobRequest request;  ///< with its id and its model
  time_point deadline;
  std::vector<payments::money> max_prices;  ///< for the whole job; each of them counts
  bool again = false;                       ///< the node refused the job's first payment
};
using payment_order_ptr = std::shared_ptr<payment_order>;

/// How a job ended at an orchestrator, as far as money goes.
struct settlement {
  enum class outcome {
    unsent,     ///< never left the gateway
    delivered,  ///< `units` were done, the result is here
    returned,   ///< an answer without a result; `units` were done all the same
    refused,    ///< the orchestrator did not accept the payment, or says it is over
    gone,       ///< the orchestrator went away with it
    silent      ///< no answer in the job's time
  };
  std::string job;
  std::string node;
  outcome how = outcome::unsent;
  double units = 0;
};
using settlement_ptr = std::shared_ptr<const settlement>;

/// What one orchestrator would take for a job.
struct quote {
  std::string node;
  std::string model;
  bool warm = false;
  error problem;        ///< code none: what follows holds
  std::string address;  ///< of the orchestrator; empty where nothing is to be paid
  payments::price price;
  std::uint64_t units = 0;
  payments::rational fee;        ///< wei for the job
  payments::rational credit;     ///< wei that the gateway already has there
  std::uint32_t tickets = 0;     ///< that the job would need now
  payments::rational ticket_ev;  ///< wei that one is worth
  /// What the orchestrator announces; where it is another price, new terms are asked for to learn
  /// what the next jobs cost.
  std::string announced;
  std::optional<payments::price> next_price;  ///< where it differs: from expires_ms on
  std::int64_t expires_ms = 0;                ///< since 1970; the price holds until then
  std::uint64_t expires_block = 0;  ///< or until this L1 block, if it comes first; 0: none
};

/// What the ledger said of a job.
struct verdict {
  error problem;            ///< code none: it holds
  std::string job;          ///< at an orchestrator: the name for settling
  payments::funded funded;  ///< at a gateway
};
using verdict_ptr = std::shared_ptr<const verdict>;

/// Asks for quotes for a job without running it. `done` is called once, from an actor's thread.
struct quote_query {
  wire::JobRequest request;
  std::uint64_t units = 0;  ///< of the job; its files may not be there
  time_point deadline;
  /// Who to ask, filled in by the gateway: a free price is settled there.
  std::vector<std::pair<quote, caf::strong_actor_ptr>> candidates;
  std::function<void(result<std::vector<quote>>)> done;
};
using quote_query_ptr = std::shared_ptr<quote_query>;

}  // namespace lp::actors
