// SPDX-License-Identifier: MIT
// Bytes of a connection between nodes: cut into frames, checked, and what passes is read by CAF as
// its own protocol instance does. Nothing may crash it, and what passed must be readable.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/forwarding_actor_proxy.hpp>
#include <caf/io/basp/message_queue.hpp>
#include <caf/io/basp/remote_message_handler.hpp>
#include <caf/proxy_registry.hpp>
#include <caf/scoped_execution_unit.hpp>

#include "actors/frame_check.hpp"
#include "actors/frame_rules.hpp"
#include "actors/protocol.hpp"
#include "tests/basp.hpp"

namespace {

using namespace lp;
using actors::frame_check;

struct settings : caf::actor_system_config {
  settings() {
    add_message_types<caf::id_block::lp_actors>();
    set("scheduler.max-threads", std::size_t{1});
    set("scheduler.policy", caf::atom("sharing"));
  }
};

// A node with one actor, that remembers the actors of others as a node does.
struct node : caf::proxy_registry::backend {
  node() : rules(actors::rules_of(system)), proxies(system, *this), unit(&system) {
    rules.own_node = testing::basp::node('o');  // that of the recorded sessions
    listener =
        caf::actor_cast<caf::strong_actor_ptr>(system.spawn([](caf::event_based_actor* self) {
          self->set_default_handler(caf::drop);
          return caf::behavior{[](int) {}};
        }));
    for (caf::actor_id id = 1; id < 12; ++id) system.registry().put(id, listener);
    unit.proxy_registry_ptr(&proxies);
  }

  caf::strong_actor_ptr make_proxy(caf::node_id n, caf::actor_id a) override {
    if (!n || a == caf::invalid_actor_id) return {};
    caf::actor_config c(&unit);
    return caf::make_actor<caf::forwarding_actor_proxy, caf::strong_actor_ptr>(
        a, n, &system, c, caf::actor_cast<caf::actor>(listener));
  }
  void set_last_hop(caf::node_id*) override {}

  settings config;
  caf::actor_system system{config};
  actors::frame_rules rules;
  caf::proxy_registry proxies;
  caf::scoped_execution_unit unit;
  caf::strong_actor_ptr listener;
  caf::io::basp::message_queue queue;
};

// Never destroyed: an actor system takes its time.
node& the_node() {
  static node* const it = new node;
  return *it;
}

void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// As CAF's instance has it, in the network's thread.
struct handler : caf::io::basp::remote_message_handler<handler> {
  handler(node& n, caf::io::basp::header h, std::string_view body)
      : queue_(&n.queue),
        proxies_(&n.proxies),
        system_(&n.system),
        hdr_(h),
        payload_(body.begin(), body.end()),
        msg_id_(queue_->new_id()) {}

  caf::io::basp::message_queue* queue_;
  caf::proxy_registry* proxies_;
  caf::actor_system* system_;
  caf::node_id last_hop_;
  caf::io::basp::header hdr_;
  std::vector<char> payload_;
  std::uint64_t msg_id_;
};

void read_message(node& n, const actors::frame_head& h, std::string_view body) {
  caf::binary_deserializer source(&n.unit, body.data(), body.size());
  std::vector<caf::strong_actor_ptr> stages;
  caf::message content;
  expect(!source(stages, content), "a message passed that CAF cannot read");
  expect(source.remaining() == 0, "a message passed with more behind it");
  handler f(n,
            {static_cast<caf::io::basp::message_type>(h.operation), h.flags, h.payload, h.data,
             h.source, h.destination},
            body);
  f.handle_remote_message(&n.unit);
}

void read_by_caf(node& n, std::string_view frame) {
  const actors::frame_head h = actors::read_frame_head(frame);
  const std::string_view body = frame.substr(actors::frame_head_size);
  caf::binary_deserializer source(&n.unit, body.data(), body.size());
  caf::node_id from;
  caf::node_id to;
  switch (h.operation) {
    case 0: {
      std::vector<std::string> applications;
      caf::actor_id published = 0;
      std::set<std::string> interface;
      expect(!source(from, applications, published, interface), "a handshake CAF cannot read");
      break;
    }
    case 1:
      expect(!source(from), "an id CAF cannot read");
      break;
    case 2:
      return read_message(n, h, body);
    case 4:
      expect(!source(from, to), "a watch CAF cannot read");
      break;
    case 5: {
      caf::error why;
      expect(!source(from, to, why), "an end CAF cannot read");
      break;
    }
    default:
      break;
  }
  expect(source.remaining() == 0, "a frame passed with more behind it");
}

}  // namespace

// The first byte says which side this node is; then the other side's bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  node& n = the_node();
  const auto side = data[0] % 2 == 0 ? frame_check::side::dialled : frame_check::side::accepted;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  frame_check check(n.rules, side);
  while (rest.size() >= actors::frame_head_size) {
    const auto length = check.length(rest);
    if (!length || *length > rest.size()) break;
    const std::string_view frame = rest.substr(0, *length);
    const auto fate = check.check(frame);
    if (!fate) break;
    if (*fate == frame_check::fate::pass) read_by_caf(n, frame);
    rest.remove_prefix(*length);
  }
  return 0;
}
