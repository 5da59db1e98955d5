// SPDX-License-Identifier: MIT
#include "actors/memory_gate.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "runtime/base/bytes.hpp"

namespace lp::actors {

namespace {

/// With as little memory as it can: models that know no such way say 0.
std::uint64_t least(const pipelines::memory_need& need) {
  return need.lean_peak == 0 ? need.peak : std::min(need.peak, need.lean_peak);
}

}  // namespace

result<memory_verdict> memory_gate::enter(const std::string& id, const pipelines::memory_need& need,
                                          std::uint64_t models, time_point deadline) {
  const auto most = most_for(need.weights);
  if (least(need) > most) {
    return fail(ec::out_of_memory,
                fmt::format("this job takes {} at its highest beside {} of weights; the worker's "
                            "memory_limit of {} leaves {}",
                            human_bytes(least(need)), human_bytes(need.weights),
                            human_bytes(limit_), human_bytes(most)));
  }
  if (waiting_.empty()) {
    if (const auto lean = try_reserve(id, need, models))
      return *lean ? memory_verdict::start_lean : memory_verdict::start;
  }
  waiting_.push_back({id, need, deadline});
  return memory_verdict::wait;
}

void memory_gate::leave(const std::string& id) {
  if (const auto it = running_.find(id); it != running_.end()) {
    reserved_ -= it->second;
    running_.erase(it);
    return;
  }
  std::erase_if(waiting_, [&](const waiter& w) { return w.id == id; });
}

std::optional<memory_gate::admitted> memory_gate::next(std::uint64_t models) {
  if (waiting_.empty()) return std::nullopt;
  const waiter& first = waiting_.front();
  const auto lean = try_reserve(first.id, first.need, models);
  if (!lean) return std::nullopt;
  admitted out{first.id, *lean};
  waiting_.pop_front();
  return out;
}

std::optional<std::string> memory_gate::expired(time_point now) {
  const auto it = std::find_if(waiting_.begin(), waiting_.end(),
                               [now](const waiter& w) { return w.deadline <= now; });
  if (it == waiting_.end()) return std::nullopt;
  std::string id = it->id;
  waiting_.erase(it);
  return id;
}

std::uint64_t memory_gate::most_for(std::uint64_t weights) const {
  if (limit_ == 0) return UINT64_MAX;
  return limit_ > weights ? limit_ - weights : 0;
}

std::uint64_t memory_gate::for_models() const {
  const auto all = most_for(0);
  return all > reserved_ ? all - reserved_ : 0;
}

std::uint64_t memory_gate::free_beside(std::uint64_t models) const {
  const auto most = most_for(models);
  return most > reserved_ ? most - reserved_ : 0;
}

/// Whether it runs lean, or nothing if there is no room now. A job that is alone starts whatever
/// other models are held: the worker has those dropped that nobody uses.
std::optional<bool> memory_gate::try_reserve(const std::string& id,
                                             const pipelines::memory_need& need,
                                             std::uint64_t models) {
  const bool alone = running_.empty();
  // A model just loaded may not be among those told of yet.
  const auto room = alone ? most_for(need.weights) : free_beside(std::max(models, need.weights));
  // Lean only where it could never run otherwise: it is slower, and large pictures show it.
  const bool lean = need.peak > most_for(need.weights);
  const auto bytes = lean ? least(need) : need.peak;
  if (bytes > room) return std::nullopt;
  running_[id] = bytes;
  reserved_ += bytes;
  return lean;
}

}  // namespace lp::actors
