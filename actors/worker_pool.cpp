// SPDX-License-Identifier: MIT
#include "actors/worker_pool.hpp"

#include <algorithm>
#include <tuple>

#include <fmt/core.h>

#include "actors/selection.hpp"

namespace lp::actors {

namespace {

constexpr std::size_t most_coming = 64;  // that are told to gateways

}  // namespace

void worker_pool::update(const wire::WorkerState& state) {
  workers_[state.node()].state = state;
}

std::vector<std::string> worker_pool::remove(const std::string& name) {
  const auto it = workers_.find(name);
  if (it == workers_.end()) return {};
  std::vector<std::string> orphans(it->second.running.begin(), it->second.running.end());
  workers_.erase(it);
  return orphans;
}

result<void> worker_pool::admit(pooled_job j) {
  if (draining_) return fail(ec::draining, fmt::format("orchestrator {} is stopping", node_));
  if (jobs_.count(j.id) > 0) {
    return fail(ec::bad_request, fmt::format("job id {} is already in use", j.id));
  }
  if (!offered(j)) {
    return fail(ec::gone, fmt::format("no worker of orchestrator {} offers model \"{}\" for {}",
                                      node_, j.model, j.pipeline));
  }
  if (queue_.size() >= queue_limit_ && find_worker(j).empty()) {
    return fail(ec::busy,
                fmt::format("the queue of orchestrator {} is full ({} jobs)", node_, queue_limit_));
  }
  queue_.push_back(j.id);
  const std::string id = j.id;
  jobs_.emplace(id, job{std::move(j), {}});
  return {};
}

std::optional<assignment> worker_pool::next() {
  for (auto it = queue_.begin(); it != queue_.end(); ++it) {
    job& j = jobs_.at(*it);
    const std::string name = find_worker(j.spec);
    if (name.empty()) continue;
    j.worker = name;
    workers_.at(name).running.insert(*it);
    assignment a{*it, name};
    queue_.erase(it);
    return a;
  }
  return std::nullopt;
}

bool worker_pool::retry(const std::string& id) {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return false;
  job& j = it->second;
  j.spec.tried.insert(j.worker);
  if (const auto w = workers_.find(j.worker); w != workers_.end()) w->second.running.erase(id);
  j.worker.clear();
  if (!offered(j.spec)) {
    jobs_.erase(it);
    return false;
  }
  queue_.push_front(id);
  return true;
}

std::optional<std::string> worker_pool::finish(const std::string& id) {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return std::nullopt;
  const std::string name = it->second.worker;
  jobs_.erase(it);
  if (name.empty()) {
    queue_.erase(std::remove(queue_.begin(), queue_.end(), id), queue_.end());
    return std::nullopt;
  }
  if (const auto w = workers_.find(name); w != workers_.end()) w->second.running.erase(id);
  return name;
}

std::string worker_pool::worker_of(const std::string& id) const {
  const auto it = jobs_.find(id);
  return it == jobs_.end() ? std::string() : it->second.worker;
}

std::vector<std::string> worker_pool::expire(time_point now) {
  std::vector<std::string> late;
  for (const std::string& id : queue_) {
    if (jobs_.at(id).spec.deadline <= now) late.push_back(id);
  }
  for (const std::string& id : late) finish(id);
  return late;
}

wire::Announcement worker_pool::announce(const price_text& price_per_unit) {
  wire::Announcement a;
  a.set_node(node_);
  a.set_version(++version_);
  a.set_queue_limit(queue_limit_);
  a.set_draining(draining_);
  a.set_queued(static_cast<std::uint32_t>(queue_.size()));
  a.set_running(static_cast<std::uint32_t>(jobs_.size() - queue_.size()));
  std::map<std::pair<std::string, std::string>, wire::Offer> offers;
  for (const auto& [name, w] : workers_) {
    a.set_slots(a.slots() + w.state.slots());
    for (const wire::Offer& o : w.state.offers()) {
      wire::Offer& merged = offers[{o.pipeline(), o.model()}];
      const bool warm = merged.warm() || o.warm();
      merged = o;
      merged.set_warm(warm);
    }
  }
  std::map<std::string, std::string> coming;
  for (const auto& [name, w] : workers_) {
    for (const wire::ComingModel& c : w.state.coming()) {
      if (coming.size() < most_coming) coming.emplace(c.model(), c.why());
    }
  }
  for (const auto& [model, why] : coming) {
    wire::ComingModel& told = *a.add_coming();
    told.set_model(model);
    told.set_why(why);
  }
  for (auto& [key, offer] : offers) {
    offer.set_price_per_unit(price_per_unit(offer.pipeline(), offer.model()));
    *a.add_offers() = std::move(offer);
  }
  return a;
}

bool worker_pool::offered(const pooled_job& j) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    const auto& [name, w] = entry;
    if (j.tried.count(name) > 0 || w.state.draining()) return false;
    return std::any_of(w.state.offers().begin(), w.state.offers().end(),
                       [&](const wire::Offer& o) { return matches(o, j.pipeline, j.model); });
  });
}

std::string worker_pool::find_worker(const pooled_job& j) const {
  std::string best;
  std::tuple<bool, std::size_t> best_key;
  for (const auto& [name, w] : workers_) {
    if (j.tried.count(name) > 0 || w.state.draining()) continue;
    if (w.running.size() >= w.state.slots()) continue;
    for (const wire::Offer& o : w.state.offers()) {
      const std::tuple<bool, std::size_t> key{!o.warm(), w.running.size()};
      if (!matches(o, j.pipeline, j.model) || (!best.empty() && key >= best_key)) continue;
      best = name;
      best_key = key;
    }
  }
  return best;
}

}  // namespace lp::actors
