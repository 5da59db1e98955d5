// SPDX-License-Identifier: MIT
#include "runtime/actor_host.hpp"

#include <chrono>
#include <utility>

#include <fmt/core.h>
#include <caf/actor_system_config.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/publish.hpp>
#include <caf/scoped_actor.hpp>

#include "actors/errors.hpp"
#include "actors/network_backend.hpp"
#include "actors/protocol.hpp"
#include "runtime/base/log.hpp"
#include "runtime/node.hpp"

namespace lp::runtime {

namespace {

// An actor that does not end by then is killed.
constexpr std::chrono::seconds polite_end{3};
constexpr std::chrono::seconds forced_end{2};

bool wait_for_end(caf::scoped_actor& self, const caf::actor& actor, std::chrono::seconds limit) {
  bool ended = false;
  self->receive([&](const caf::down_msg& down) { ended = down.source == actor.address(); },
                caf::after(limit) >> [] {});
  return ended;
}

}  // namespace

struct actor_host::settings : caf::actor_system_config {
  explicit settings(const config& c) {
    add_message_types<caf::id_block::lp_actors>();
    add_error_category(caf::atom("lp"), actors::render_caf);
    // The sharing scheduler sleeps where the stealing one polls: a quarter of the remote latency
    // and no idle CPU.
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", std::size_t{1});
    set("middleman.workers", std::size_t{0});
    set("middleman.attach-utility-actors", true);
    // Without these a frozen peer is never noticed.
    set("middleman.heartbeat-interval", caf::timespan{std::chrono::seconds{1}});
    set("middleman.connection-timeout", caf::timespan{std::chrono::seconds{10}});
    // One for all clusters: whether two nodes belong together they tell each other by name, so that
    // both can say what does not fit.
    set("middleman.app-identifiers", std::vector<std::string>{"lp-runtime"});
    load<caf::io::middleman, actors::network_backend>();
    if (!c.tls.enabled()) return;
    openssl_certificate = c.tls.certificate.string();
    openssl_key = c.tls.key.string();
    openssl_cafile = c.tls.authority.string();
  }
};

result<void> actor_host::check(const config& c) {
  if (!c.tls.enabled()) return {};
  const auto usable =
      net::load_tls({c.tls.certificate.string(), c.tls.key.string(), c.tls.authority.string()});
  if (!usable) return fail(usable.error());
  return {};
}

actor_host::actor_host(const config& c)
    : settings_(std::make_unique<settings>(c)),
      system_(std::make_unique<caf::actor_system>(*settings_)) {}

actor_host::~actor_host() {
  end();
}

net::event_loop& actor_host::loop() {
  return actors::network_loop(*system_);
}

result<std::uint16_t> actor_host::publish(const caf::actor& actor, const address& where) {
  const char* host = where.host == "localhost" ? "127.0.0.1" : where.host.c_str();
  const auto port = system_->middleman().publish(actor, where.port, host, true);
  if (!port) {
    return fail(ec::bad_config, fmt::format("cannot listen on {}: {}", where.text(),
                                            system_->render(port.error())));
  }
  published_.emplace_back(actor, *port);
  return *port;
}

// CAF's own destructor waits for ever for published, registered or self-messaging actors, and its
// switch against that crashes in 0.17.6; so every actor is ended by hand before.
void actor_host::end() {
  if (!system_) return;
  {
    caf::scoped_actor self{*system_};
    for (const auto& [actor, port] : published_) system_->middleman().unpublish(actor, port);
    for (auto it = owned_.rbegin(); it != owned_.rend(); ++it) {
      self->monitor(*it);
      caf::anon_send_exit(*it, caf::exit_reason::user_shutdown);
      if (wait_for_end(self, *it, polite_end)) continue;
      caf::anon_send_exit(*it, caf::exit_reason::kill);
      if (!wait_for_end(self, *it, forced_end)) {
        log::error("node", "an actor does not end; leaving it behind");
      }
    }
  }
  published_.clear();
  owned_.clear();
  system_.reset();
}

wire::Hello make_hello(const config& c, const std::string& name, const std::string& role) {
  wire::Hello h;
  h.set_cluster(c.cluster);
  h.set_protocol(actors::protocol_version);
  h.set_node(name);
  h.set_role(role);
  h.set_build(version());
  return h;
}

}  // namespace lp::runtime
