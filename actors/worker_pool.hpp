// SPDX-License-Identifier: MIT
// An orchestrator's workers and its queue of jobs. No CAF; time is an argument.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/wire/cluster.pb.h"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::actors {

/// What the pool knows of a job it admitted.
struct pooled_job {
  std::string id;
  std::string pipeline;
  std::string model;
  time_point deadline;
  std::set<std::string> tried;  ///< workers that refused it or went away
};

/// A job that shall start now on that worker.
struct assignment {
  std::string job;
  std::string worker;
};

class worker_pool {
 public:
  /// `queue_limit`: jobs that may wait; running ones do not count.
  worker_pool(std::string node, unsigned queue_limit)
      : node_(std::move(node)), queue_limit_(queue_limit) {}

  // -- workers ------------------------------------------------------------------------------------

  /// A worker joined or told its new state.
  void update(const wire::WorkerState& state);

  /// A worker went away; the jobs that ran there, which the caller puts back or fails.
  std::vector<std::string> remove(const std::string& worker);

  // -- jobs ---------------------------------------------------------------------------------------

  /// Queues a job; busy if the queue is full, not_found if no worker here offers its model,
  /// draining after drain(), bad_request for an id that is already here.
  result<void> admit(pooled_job job);

  /// The next waiting job that a free worker can take: in order of admission; warm workers before
  /// cold, then the one with the fewest jobs. Marks it as running. Call until it is empty.
  std::optional<assignment> next();

  /// Puts a running job that its worker could not do in front of the queue again; false if no other
  /// worker here offers its model, and then the job is forgotten.
  bool retry(const std::string& job);

  /// Forgets a job, running or waiting. The worker it ran on, if any.
  std::optional<std::string> finish(const std::string& job);

  /// Where a job runs; empty while it waits or is not known.
  std::string worker_of(const std::string& job) const;

  /// Waiting jobs whose deadline has passed; they are forgotten.
  std::vector<std::string> expire(time_point now);

  void drain() { draining_ = true; }
  bool idle() const { return jobs_.empty(); }

  /// Offers of all workers together: warm if warm anywhere; with the prices given.
  using price_text =
      std::function<std::string(const std::string& pipeline, const std::string& model)>;
  wire::Announcement announce(const price_text& price_per_unit);

 private:
  struct worker {
    wire::WorkerState state;
    std::set<std::string> running;
  };
  struct job {
    pooled_job spec;
    std::string worker;  ///< empty while waiting
  };

  bool offered(const pooled_job& j) const;
  std::string find_worker(const pooled_job& j) const;

  std::string node_;
  unsigned queue_limit_;
  bool draining_ = false;
  std::uint64_t version_ = 0;
  std::map<std::string, worker> workers_;
  std::map<std::string, job> jobs_;
  std::deque<std::string> queue_;
};

}  // namespace lp::actors
