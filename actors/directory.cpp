// SPDX-License-Identifier: MIT
#include "actors/directory.hpp"

#include <map>

#include "runtime/base/log.hpp"

namespace lp::actors {

namespace {

struct directory_state : state_base {
  static inline const char* name = "directory";
  gateway_actor gateway;
  std::vector<caf::actor> links;
  std::map<std::string, caf::strong_actor_ptr> up;
};

using self_ptr = directory_actor::stateful_pointer<directory_state>;

}  // namespace

directory_actor spawn_directory(caf::actor_system& system, gateway_actor gateway,
                                std::vector<peer_link_options> links) {
  return system.spawn([=](self_ptr self) -> directory_actor::behavior_type {
    state(self).gateway = gateway;
    for (const peer_link_options& options : links) {
      const auto owner = caf::actor_cast<caf::actor>(own_handle(self));
      // Linked: a link has nobody to report to once the directory is gone.
      state(self).links.push_back(spawn_peer_link(self->system(), owner, options));
      self->link_to(state(self).links.back());
    }
    return {
        [self](announce_atom, const announcement& a) {
          const auto& up = state(self).up;
          // An announcement that was under way when the link broke is of a peer that is gone.
          if (const auto it = up.find(a->node()); it != up.end()) {
            send(self, state(self).gateway, peer_up_atom_v, a, it->second);
          }
        },
        [self](link_up_atom, const std::string& peer, const caf::strong_actor_ptr& handle) {
          state(self).up[peer] = handle;
          send(self, caf::actor_cast<orchestrator_actor>(handle), watch_atom_v, own_handle(self));
        },
        [self](link_down_atom, const std::string& peer) {
          state(self).up.erase(peer);
          send(self, state(self).gateway, peer_down_atom_v, peer);
        },
    };
  });
}

}  // namespace lp::actors
