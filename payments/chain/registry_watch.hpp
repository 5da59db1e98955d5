// SPDX-License-Identifier: MIT
// Where orchestrators say on the chain that they can be reached (ServiceRegistry), for those who
// may not wait for it.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "payments/chain/contracts.hpp"

namespace lp::payments {

struct registry_watch_options {
  milliseconds refresh_every{60'000};
  milliseconds call_timeout{10'000};
  std::size_t most = 1'000;  ///< orchestrators that are followed
};

/// Has a thread of its own. Safe from any thread.
class registry_watch {
 public:
  registry_watch(std::shared_ptr<eth_client> chain, const address& registry,
                 registry_watch_options options);
  ~registry_watch();
  registry_watch(const registry_watch&) = delete;
  registry_watch& operator=(const registry_watch&) = delete;

  /// What the orchestrator said last: its text, which may be anything of at most 256 bytes. At
  /// once; empty while nothing is known, in which case it is looked up. What was known stays while
  /// the chain cannot be asked.
  std::string find(const address& orchestrator);

 private:
  void run();

  service_registry registry_;
  registry_watch_options options_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<address, std::string> found_;
  bool news_ = false;  ///< somebody new is to be looked up
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace lp::payments
