// SPDX-License-Identifier: MIT
#include "runtime/unpriced.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include <fmt/format.h>

namespace lp::runtime {

namespace {

bool offers(const worker_config& w, const pipelines::catalogue_entry& e) {
  return w.models.empty() || e.folder.empty() ||
         std::find(w.models.begin(), w.models.end(), e.model) != w.models.end();
}

// By the workers of this file; of others it is not known what they will offer.
bool offers(const config& c, const orchestrator_config& o, const pipelines::catalogue_entry& e) {
  bool any = false;
  for (const worker_config& w : c.workers) {
    if (w.orchestrator != o.name && w.orchestrator != o.listen.text()) continue;
    if (offers(w, e)) return true;
    any = true;
  }
  return !any;
}

}  // namespace

std::string unpriced(const config& c, const orchestrator_config& o) {
  if (!c.payments.enabled) return {};
  const payments::price_list prices(o.prices, c.payments.feed());
  // Pipeline -> its models without a price; and those that have one.
  std::map<std::string, std::vector<std::string>> missing;
  std::set<std::string> partly;
  for (const pipelines::catalogue_entry& e : c.catalogue) {
    if (!offers(c, o, e)) continue;
    const auto price = prices.find(e.pipeline, e.model);
    // A rate that is not known yet is no missing price.
    if (!price || *price) {
      partly.insert(e.pipeline);
    } else {
      missing[e.pipeline].push_back(e.model);
    }
  }
  std::vector<std::string> names;
  for (const auto& [pipeline, models] : missing) {
    names.push_back(partly.count(pipeline) == 0
                        ? pipeline
                        : fmt::format("{} with {}", pipeline, fmt::join(models, " or ")));
  }
  if (names.empty()) return {};
  return fmt::format(
      "orchestrator {}: no price is set for {}: such jobs are free for everybody; "
      "set one, or \"0\" where that is meant",
      o.name, fmt::join(names, ", "));
}

}  // namespace lp::runtime
