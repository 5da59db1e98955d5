// SPDX-License-Identifier: MIT
#include "actors/model_shelf.hpp"

#include <fmt/core.h>

#include "pipelines/model.hpp"
#include "runtime/base/bytes.hpp"

namespace lp::actors {

result<model_shelf::decision> model_shelf::acquire(const std::string& id, std::uint64_t expected) {
  decision d;
  if (const auto it = slots_.find(id); it != slots_.end()) {
    slot& s = it->second;
    if (!s.model) return d;
    if (s.model->usable()) {
      s.used = ++uses_;
      d.what = decision::next::use;
      d.model = s.model;
      return d;
    }
    slots_.erase(it);
    d.again = true;
  }
  if (expected > budget_) {
    return fail(ec::out_of_memory, fmt::format("model {} needs {}, the worker's budget is {}", id,
                                               human_bytes(expected), human_bytes(budget_)));
  }
  d.what = decision::next::load;
  d.evicted = make_room(budget_ - expected, id);
  if (bytes() + expected > budget_) {
    return fail(ec::busy,
                fmt::format("models in use leave no room for {} ({})", id, human_bytes(expected)));
  }
  slots_[id].bytes = expected;
  return d;
}

std::vector<std::string> model_shelf::loaded(const std::string& id, model_ptr model,
                                             std::uint64_t bytes) {
  slot& s = slots_[id];
  s.model = std::move(model);
  s.bytes = bytes;
  s.used = ++uses_;
  return make_room(budget_, id);
}

void model_shelf::load_failed(const std::string& id) {
  slots_.erase(id);
}

void model_shelf::forget(const std::string& id) {
  const auto it = slots_.find(id);
  if (it != slots_.end() && it->second.model) slots_.erase(it);
}

void model_shelf::used(const std::string& id) {
  if (const auto it = slots_.find(id); it != slots_.end()) it->second.used = ++uses_;
}

std::map<std::string, model_shelf::model_ptr> model_shelf::warm() const {
  std::map<std::string, model_ptr> out;
  for (const auto& [id, s] : slots_) {
    if (s.model) out.emplace(id, s.model);
  }
  return out;
}

std::uint64_t model_shelf::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [id, s] : slots_) sum += s.bytes;
  return sum;
}

std::vector<std::string> model_shelf::make_room(std::uint64_t budget, const std::string& keep) {
  std::vector<std::string> evicted;
  while (bytes() > budget) {
    auto oldest = slots_.end();
    for (auto it = slots_.begin(); it != slots_.end(); ++it) {
      const slot& s = it->second;
      if (!s.model || s.model.use_count() > 1 || it->first == keep) continue;
      if (oldest == slots_.end() || s.used < oldest->second.used) oldest = it;
    }
    if (oldest == slots_.end()) break;
    evicted.push_back(oldest->first);
    slots_.erase(oldest);
  }
  return evicted;
}

}  // namespace lp::actors
