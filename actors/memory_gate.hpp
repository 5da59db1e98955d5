// SPDX-License-Identifier: MIT
// Which jobs may use a device's memory at the same time: by what each is foreseen to take at its
// highest, on top of the models. No CAF; time is an argument.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pipelines/model.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::actors {

/// What a job is told.
enum class memory_verdict {
  start,       ///< its memory is reserved
  start_lean,  ///< the same, if it works with as little memory as it can
  wait,        ///< there is room for it once others have ended
};

class memory_gate {
 public:
  /// `limit`: bytes that models and jobs may take together; 0: no limit.
  explicit memory_gate(std::uint64_t limit = 0) : limit_(limit) {}

  /// A job asks for `need`; `models` are the bytes of all models held, its own among them. Jobs are
  /// let in by order of arrival. ec::out_of_memory if it would not fit alone either, beside its own
  /// model.
  result<memory_verdict> enter(const std::string& id, const pipelines::memory_need& need,
                               std::uint64_t models, time_point deadline);

  /// The job ended, or waits no longer.
  void leave(const std::string& id);

  struct admitted {
    std::string id;
    bool lean = false;
  };
  /// The next of the waiting ones that has room now, reserved; ask until there is none.
  std::optional<admitted> next(std::uint64_t models);

  /// A waiting job whose time is over; it waits no longer.
  std::optional<std::string> expired(time_point now);

  /// Bytes that a run of this model can have at the most, when it is alone.
  std::uint64_t most_for(std::uint64_t weights) const;

  /// Bytes that models may keep beside the jobs that run now.
  std::uint64_t for_models() const;

  std::uint64_t reserved() const { return reserved_; }
  std::size_t waiting() const { return waiting_.size(); }

 private:
  struct waiter {
    std::string id;
    pipelines::memory_need need;
    time_point deadline;
  };

  std::uint64_t free_beside(std::uint64_t models) const;
  std::optional<bool> try_reserve(const std::string& id, const pipelines::memory_need& need,
                                  std::uint64_t models);

  std::uint64_t limit_;
  std::uint64_t reserved_ = 0;
  std::map<std::string, std::uint64_t> running_;
  std::deque<waiter> waiting_;
};

}  // namespace lp::actors
