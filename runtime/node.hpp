// SPDX-License-Identifier: MIT
// One node: an actor system of its own with the actors of its role.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "actors/peer_link.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/config.hpp"

namespace lp::runtime {

class chain_link;

/// A running node. Stops in order: drain(), then stop(). The destructor stops at once.
class node {
 public:
  virtual ~node() = default;

  virtual const std::string& name() const = 0;

  /// Where others reach it: the HTTP address of a gateway, the BASP address of an orchestrator.
  /// A worker has none (port 0).
  virtual address where() const = 0;

  /// Takes its prices from `fresh`.
  virtual void reload(const config& /*fresh*/) {}

  /// Takes no new jobs; returns when none is left (true) or at the deadline (false).
  virtual bool drain(time_point deadline) = 0;

  /// Ends its actors and threads; running jobs are answered with an error where somebody can still
  /// hear it.
  virtual void stop() = 0;
};

/// Looks up where an orchestrator listens now; port 0 while that is not known.
using address_book = std::function<actors::endpoint(const std::string& entry)>;

/// Starts the node of that configuration. ec::bad_config where the address cannot be bound or the
/// device cannot be used. `chain`: null where tickets know of none.
result<std::unique_ptr<node>> start_gateway(const config& c, const gateway_config& g,
                                            const address_book& book,
                                            const std::shared_ptr<chain_link>& chain);
result<std::unique_ptr<node>> start_orchestrator(const config& c, const orchestrator_config& o,
                                                 const std::shared_ptr<chain_link>& chain);
result<std::unique_ptr<node>> start_worker(const config& c, const worker_config& w,
                                           const address_book& book);

/// "0.1.0"
std::string version();

}  // namespace lp::runtime
