// SPDX-License-Identifier: MIT
#include "actors/membership.hpp"

#include <fmt/core.h>

namespace lp::actors {

namespace {

// As long as names of a configuration ever get, with room.
constexpr std::size_t longest_name = 256;

}  // namespace

result<void> membership::greet(const wire::Hello& ours, const wire::Hello& theirs,
                               const std::string& id, const std::string& where) {
  const auto refuse = [](std::string why) { return fail(ec::bad_request, std::move(why)); };
  if (theirs.cluster() != ours.cluster() || theirs.protocol() != ours.protocol()) {
    return refuse(fmt::format(
        "this is cluster {} with protocol {}, not {} with {}: is the address right, and id in "
        "[cluster]?",
        ours.cluster(), ours.protocol(), theirs.cluster(), theirs.protocol()));
  }
  if (theirs.node().empty() || theirs.node().size() > longest_name) {
    return refuse("a node introduces itself with its name");
  }
  if (theirs.node() == ours.node()) {
    return refuse(fmt::format("{} is the name of this orchestrator: give the {} another one",
                              ours.node(), theirs.role()));
  }
  for (const auto& [other, m] : members_) {
    if (m.name != theirs.node() || other == id) continue;
    return refuse(
        fmt::format("the name {} is taken by the {} at {}: has it been started twice? "
                    "Give one of them another name",
                    m.name, m.role, m.where));
  }
  members_[id] = {theirs.node(), theirs.role(), where};
  return {};
}

std::optional<std::string> membership::name_of(const std::string& id) const {
  const auto found = members_.find(id);
  if (found == members_.end()) return std::nullopt;
  return found->second.name;
}

}  // namespace lp::actors
