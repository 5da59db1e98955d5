// SPDX-License-Identifier: MIT
// Which orchestrator gets a job. No CAF, no clock: what is known goes in, a choice comes out.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "net/wire/cluster.pb.h"
#include "runtime/base/error.hpp"

namespace lp::actors {

/// Where a job goes next.
struct choice {
  std::string node;
  std::string model;  ///< the model meant: a default is named here
  bool warm = false;
};

/// What a gateway knows of its orchestrators, and its choices among them.
class selection {
 public:
  /// Takes an orchestrator's announcement; older versions than the known one are ignored.
  void update(const wire::Announcement& a);
  void remove(const std::string& node);

  /// The best orchestrator for the job among those not in `tried`: one that offers the pipeline and
  /// model (empty: its default) and is not draining; a queue known to be full comes last, then warm
  /// before cold, then the fewest jobs queued or running there, then the one chosen longest ago.
  /// Fails with not_found (nobody offers the model, though somebody is there) or unavailable.
  result<choice> pick(std::string_view pipeline, std::string_view model,
                      const std::set<std::string>& tried);

  /// A job of this gateway went to `node` / came back. Announcements lag; own jobs do not.
  void started(const std::string& node);
  void finished(const std::string& node);

  std::vector<wire::Announcement> list() const;

 private:
  struct peer {
    wire::Announcement last;
    unsigned in_flight = 0;
    std::uint64_t picked = 0;

    unsigned load() const;
    bool full() const;
  };

  std::string what_is_coming(std::string_view model) const;
  error explain(std::string_view pipeline, std::string_view model, bool any_tried) const;

  std::map<std::string, peer> peers_;
  std::uint64_t picks_ = 0;
};

/// True if the offer is of that pipeline and model; an empty model means the offer's default.
bool matches(const wire::Offer& offer, std::string_view pipeline, std::string_view model);

}  // namespace lp::actors
