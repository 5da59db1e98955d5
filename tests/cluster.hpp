// SPDX-License-Identifier: MIT
// Clusters for tests: all nodes in this process over real loopback sockets, or real processes.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "net/http_client.hpp"
#include "net/multipart.hpp"
#include "runtime/cluster.hpp"

namespace lp::testing {

/// How long a test waits for what must come; long, because test machines are busy.
constexpr seconds patience{60};

/// Asks again until `condition` holds; false at the deadline. It polls because what it watches
/// lies behind sockets, and it never delays what is already true.
bool eventually(const std::function<bool()>& condition, duration limit = patience);

/// The first of `count` neighbouring TCP ports that were free a moment ago.
std::uint16_t free_ports(int count);

/// An answer as a test wants to look at it.
struct answer {
  unsigned status = 0;
  boost::json::value body;
  std::string text;

  /// The names in job.route.
  std::vector<std::string> route() const;
};

/// Speaks to one gateway.
class gateway_client {
 public:
  explicit gateway_client(std::uint16_t port) : port_(port) {}

  answer post(const std::string& target, const std::string& json) const;
  answer post_form(const std::string& target, net::form_writer form) const;
  answer get(const std::string& target) const;
  net::http_client connect() const;

  /// The gateway sees `orchestrators` of them, each with at least one model.
  bool wait_ready(std::size_t orchestrators) const;
  /// What GET /health says now.
  boost::json::value health() const;
  boost::json::array orchestrators() const;  ///< the member of that name
  std::uint16_t port() const { return port_; }

 private:
  std::uint16_t port_;
};

/// The nodes of a TOML text in this process. Ports of 0 are fine. Paths are relative to the
/// source tree.
class test_cluster {
 public:
  explicit test_cluster(const std::string& toml);

  runtime::cluster& operator*() { return *cluster_; }
  runtime::cluster* operator->() { return cluster_.get(); }

  /// A client of the (first) gateway, ready to take jobs of every orchestrator in the text.
  gateway_client client();

 private:
  std::unique_ptr<runtime::cluster> cluster_;
};

/// Real lp-runtime processes of one configuration, one a node.
class process_cluster {
 public:
  /// Writes `toml` to a folder of its own; start() starts its nodes.
  explicit process_cluster(const std::string& toml);
  ~process_cluster();
  process_cluster(const process_cluster&) = delete;
  process_cluster& operator=(const process_cluster&) = delete;

  /// `environment` is added to the process's own: "NAME=VALUE".
  void start(const std::string& node, const std::vector<std::string>& environment = {});
  void signal(const std::string& node, int number);
  /// Waits for the process to end; its exit status, or 128 + signal. -1 if it does not end in time.
  int wait(const std::string& node, duration limit = patience);

 private:
  std::string folder_;
  std::map<std::string, pid_t> pids_;
};

/// One gateway, two orchestrators with a worker each, no models: `noop` is what can run.
/// `gateway_port` 0 means any; `extra` goes to the end of the workers' tables.
std::string noop_cluster(std::uint16_t gateway_port = 0, const std::string& worker_extra = {},
                         const std::string& gateway_extra = {}, std::uint16_t first_port = 0);

}  // namespace lp::testing
