// SPDX-License-Identifier: MIT
// The runs that share one device: each step() does one bounded piece of work, so that cancellation
// and deadlines take hold between steps. Whose turn it is takes along those whose work can be
// computed with its own (continuous batching). No CAF; time is an argument.
#pragma once

#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pipelines/model.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::actors {

class run_queue {
 public:
  /// Takes a prepared run. Ids are unique among the runs held.
  void add(std::string id, std::unique_ptr<pipelines::run> run, time_point deadline);

  /// Drops the run of that id; which part of it was done, from 0 to 1, or nothing if there is none.
  std::optional<double> cancel(const std::string& id);

  /// A run that ended in this step.
  struct ended {
    std::string id;
    result<pipelines::output> outcome;
  };

  /// Runs that are stepped together at most.
  static constexpr std::size_t most_together = 8;

  /// Works on the run whose turn it is, and on those of its batch_key() with it; a run past its
  /// deadline ends with deadline_exceeded. An exception out of a pipeline ends the runs of that
  /// step. Where several end at once the next calls tell the others.
  std::optional<ended> step(time_point now);

  bool empty() const { return runs_.empty() && ended_.empty(); }
  std::size_t size() const { return runs_.size() + ended_.size(); }

 private:
  struct entry {
    std::string id;
    std::unique_ptr<pipelines::run> run;
    time_point deadline;
    double done = 0;  ///< 0 to 1
  };

  std::optional<ended> next_ended();

  std::list<entry> runs_;    ///< front: whose turn it is
  std::deque<ended> ended_;  ///< not told yet
};

}  // namespace lp::actors
