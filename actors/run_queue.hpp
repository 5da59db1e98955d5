// SPDX-License-Identifier: MIT
// The runs that share one device: each step() does one bounded piece of work of one of them, in
// turn, so that cancellation and deadlines take hold between steps. No CAF; time is an argument.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>

#include "pipelines/model.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::actors {

class run_queue {
 public:
  /// Takes a prepared run. Ids are unique among the runs held.
  void add(std::string id, std::unique_ptr<pipelines::run> run, time_point deadline);

  /// Drops the run of that id; false if there is none.
  bool cancel(const std::string& id);

  /// A run that ended in this step.
  struct ended {
    std::string id;
    result<pipelines::output> outcome;
  };

  /// Works on the run whose turn it is; a run past its deadline ends with deadline_exceeded. An
  /// exception out of a pipeline ends that run alone.
  std::optional<ended> step(time_point now);

  bool empty() const { return runs_.empty(); }
  std::size_t size() const { return runs_.size(); }

 private:
  struct entry {
    std::string id;
    std::unique_ptr<pipelines::run> run;
    time_point deadline;
  };

  std::list<entry> runs_;  ///< front: whose turn it is
};

}  // namespace lp::actors
