// SPDX-License-Identifier: MIT
// What starting a node would find out, without starting it: what `lp-runtime --check` reports.
#pragma once

#include <string>
#include <vector>

#include "runtime/config.hpp"

namespace lp::runtime {

struct findings {
  std::vector<std::string> mistakes;  ///< with which a node does not start or can do no work
  std::vector<std::string> warnings;
};

/// Of every node, or of the one named `only`, as starting them on this host would find it: devices,
/// certificates, addresses, keys and folders, and the chain behind `endpoints` (up to a minute).
/// Nothing is made or changed. Each begins with file, line and key.
findings look_ahead(const config& c, const std::string& only);

/// ec::bad_config if the file has no node of that name; an empty one means all.
result<void> find_node(const config& c, const std::string& only);

/// The parts that starting looks at, too: ec::bad_config as above.
/// More threads than this host has cores hold each other up so that a step takes minutes.
result<void> check_device(const worker_config& w);
/// An orchestrator at port 0 is found by nodes of its own process alone.
result<void> check_ports(const config& c, const std::string& only);
/// Of `chain`.
result<void> check_chain(const config& c, const std::string& only);

}  // namespace lp::runtime
