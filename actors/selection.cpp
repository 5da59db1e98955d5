// SPDX-License-Identifier: MIT
#include "actors/selection.hpp"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

namespace lp::actors {

bool matches(const wire::Offer& offer, std::string_view pipeline, std::string_view model) {
  if (offer.pipeline() != pipeline) return false;
  return model.empty() ? offer.is_default() : offer.model() == model;
}

unsigned selection::peer::load() const {
  return std::max(in_flight, last.running() + last.queued());
}

bool selection::peer::full() const {
  return load() >= last.slots() + last.queue_limit();
}

void selection::update(const wire::Announcement& a) {
  peer& p = peers_[a.node()];
  // A restarted node counts its versions anew; it first went away, so its entry was removed.
  if (a.version() >= p.last.version()) p.last = a;
}

void selection::remove(const std::string& node) {
  peers_.erase(node);
}

result<choice> selection::pick(std::string_view pipeline, std::string_view model,
                               const std::set<std::string>& tried) {
  // full, cold, load, last pick: less is better. A full queue only ranks last: announcements lag,
  // and the orchestrator itself refuses what it cannot take.
  using key = std::tuple<bool, bool, unsigned, std::uint64_t>;
  peer* best = nullptr;
  const wire::Offer* best_offer = nullptr;
  key best_key;
  for (auto& [node, p] : peers_) {
    if (p.last.draining() || tried.count(node) > 0) continue;
    for (const wire::Offer& offer : p.last.offers()) {
      if (!matches(offer, pipeline, model)) continue;
      const key k{p.full(), !offer.warm(), p.load(), p.picked};
      if (best != nullptr && k >= best_key) continue;
      best = &p;
      best_offer = &offer;
      best_key = k;
    }
  }
  if (best == nullptr) return fail(explain(pipeline, model, !tried.empty()));
  best->picked = ++picks_;
  return choice{best->last.node(), best_offer->model(), best_offer->warm()};
}

error selection::explain(std::string_view pipeline, std::string_view model, bool any_tried) const {
  std::set<std::string> offered;
  bool match = any_tried;
  for (const auto& [node, p] : peers_) {
    for (const wire::Offer& offer : p.last.offers()) {
      if (offer.pipeline() == pipeline) offered.insert(offer.model());
      match = match || matches(offer, pipeline, model);
    }
  }
  if (match) return {ec::unavailable, "every orchestrator that offers the model is busy", {}};
  if (peers_.empty()) return {ec::unavailable, "no orchestrator is connected", {}};
  const std::string known = what_is_coming(model);
  if (offered.empty()) {
    return {ec::unavailable, fmt::format("no orchestrator offers {}{}", pipeline, known), {}};
  }
  const std::string others = fmt::format("{}", fmt::join(offered, ", "));
  if (model.empty()) {
    return {ec::not_found,
            fmt::format("{} has no default model; name one with model_id: {}", pipeline, others),
            {}};
  }
  return {ec::not_found,
          fmt::format("no orchestrator offers model \"{}\" for {}{}; offered: {}", model, pipeline,
                      known, others),
          {}};
}

// "; it lies at orch-1, but ...", or nothing.
std::string selection::what_is_coming(std::string_view model) const {
  std::string out;
  for (const auto& [node, p] : peers_) {
    for (const wire::ComingModel& c : p.last.coming()) {
      if (c.model() == model) out += fmt::format("; it lies at {}, but {}", node, c.why());
    }
  }
  return out;
}

void selection::started(const std::string& node) {
  if (const auto it = peers_.find(node); it != peers_.end()) ++it->second.in_flight;
}

void selection::finished(const std::string& node) {
  const auto it = peers_.find(node);
  if (it != peers_.end() && it->second.in_flight > 0) --it->second.in_flight;
}

std::vector<wire::Announcement> selection::list() const {
  std::vector<wire::Announcement> out;
  for (const auto& [node, p] : peers_) out.push_back(p.last);
  return out;
}

}  // namespace lp::actors
