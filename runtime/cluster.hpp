// SPDX-License-Identifier: MIT
// The nodes of one configuration file that live in this process.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "runtime/node.hpp"

namespace lp::runtime {

class cluster {
 public:
  /// Starts every node of the file, or only the one named `only`. Nodes find each other by the
  /// file's addresses; where those say port 0, only nodes of the same process can be found.
  static result<std::unique_ptr<cluster>> start(config c, const std::string& only = {});

  cluster(const cluster&) = delete;
  cluster& operator=(const cluster&) = delete;
  ~cluster();

  const config& configuration() const { return config_; }

  /// Null if no node of that name runs here.
  node* find(const std::string& name);

  /// Ends one node at once, as if its process had died: nothing is drained.
  void kill(const std::string& name);

  /// Starts a node of the configuration that does not run (again).
  result<void> start_node(const std::string& name);

  /// Takes the prices of `fresh`, which also holds for nodes that are started later. Everything
  /// else stays as it is until the next start; a log line tells if it differs.
  void reload(const config& fresh);

  /// Drains and stops all nodes: gateways first, so that no new job comes; then orchestrators and
  /// workers. True if every job was done in time.
  bool shut_down(time_point deadline);

 private:
  explicit cluster(config c) : config_(std::move(c)) {}

  result<void> open_chain(const std::string& only);
  actors::endpoint look_up(const std::string& entry);

  config config_;
  std::shared_ptr<chain_link> chain_;
  std::mutex mutex_;  ///< guards ports_: the links of all nodes look up addresses
  std::map<std::string, std::uint16_t> ports_;
  std::map<std::string, std::unique_ptr<node>> nodes_;
};

}  // namespace lp::runtime
