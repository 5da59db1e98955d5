// SPDX-License-Identifier: MIT
#include "actors/blob_fetch.hpp"

#include <optional>

#include "actors/chunk_window.hpp"
#include "actors/errors.hpp"
#include "actors/result_packing.hpp"

namespace lp::actors {

namespace {

constexpr unsigned parts_under_way = 4;

struct fetch_state : state_base {
  static inline const char* name = "blob_fetch";
  orchestrator_actor from;
  wire::ChunkRequest what;
  time_point deadline;
  std::optional<chunk_window> window;
  caf::typed_response_promise<std::string> promise;
  bool ended = false;
};

using self_ptr = blob_fetch_actor::stateful_pointer<fetch_state>;

void end(self_ptr self, const error& e) {
  if (std::exchange(state(self).ended, true)) return;
  if (e.code != ec::none) {
    state(self).promise.deliver(to_caf(e));
  } else {
    state(self).promise.deliver(state(self).window->take());
  }
  self->quit();
}

void pull(self_ptr self) {
  fetch_state& s = state(self);
  while (const auto part = s.window->next()) {
    wire::ChunkRequest r = s.what;
    r.set_offset(part->offset);
    r.set_length(part->length);
    request(self, s.from, remaining(s.deadline) + milliseconds(1), read_atom_v,
            chunk_request(std::move(r)))
        .then(
            [self, part = *part](const chunk& c) {
              chunk_window& window = *state(self).window;
              const auto ok = window.arrived(part, c->data(), c->total());
              if (!ok) return end(self, ok.error());
              if (window.complete()) return end(self, {});
              pull(self);
            },
            [self](const caf::error& e) { end(self, from_caf(e, "reading a large file")); });
  }
}

}  // namespace

blob_fetch_actor spawn_blob_fetch(caf::actor_system& system, orchestrator_actor from,
                                  wire::ChunkRequest what, std::uint64_t size,
                                  time_point deadline) {
  return system.spawn([=](self_ptr self) -> blob_fetch_actor::behavior_type {
    fetch_state& s = state(self);
    s.from = from;
    s.what = what;
    s.deadline = deadline;
    s.window.emplace(size, chunk_bytes, parts_under_way);
    return {[self](read_atom) -> caf::result<std::string> {
      state(self).promise = self->make_response_promise<std::string>();
      pull(self);
      return state(self).promise;
    }};
  });
}

}  // namespace lp::actors
