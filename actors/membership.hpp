// SPDX-License-Identifier: MIT
// Who has introduced itself to an orchestrator: one node a name. Knows no CAF.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "net/wire/cluster.pb.h"
#include "runtime/base/error.hpp"

namespace lp::actors {

class membership {
 public:
  /// A node says hello. `id` tells processes apart, `where` is the address that it comes from. May
  /// be repeated. ec::bad_request says why it cannot be one: another cluster or protocol, no name,
  /// or a name that another node has, which is asked to go on under it.
  result<void> greet(const wire::Hello& ours, const wire::Hello& theirs, const std::string& id,
                     const std::string& where);

  /// The name of the node of that id, while it is a member.
  std::optional<std::string> name_of(const std::string& id) const;

  /// That node is gone; its name is free.
  void forget(const std::string& id) { members_.erase(id); }

 private:
  struct member {
    std::string name;
    std::string role;
    std::string where;
  };
  std::map<std::string, member> members_;  ///< by id
};

}  // namespace lp::actors
