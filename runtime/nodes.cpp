// SPDX-License-Identifier: MIT
#include "runtime/node.hpp"

#include <algorithm>
#include <future>

#include <fmt/core.h>

#include "actors/directory.hpp"
#include "actors/gateway.hpp"
#include "actors/gpu_worker.hpp"
#include "actors/orchestrator.hpp"
#include "pipelines/engine.hpp"
#include "runtime/actor_host.hpp"
#include "runtime/base/log.hpp"
#include "runtime/http_front.hpp"

namespace lp::runtime {

namespace {

// Asks an actor to drain and waits for its word.
template <class Handle>
bool drain_actor(const Handle& actor, time_point deadline) {
  auto told = std::make_shared<std::promise<void>>();
  auto future = told->get_future();
  auto query = std::make_shared<actors::drained>();
  query->done = [told] { told->set_value(); };
  actors::post(actor, actors::drain_atom_v, query);
  return future.wait_until(deadline) == std::future_status::ready;
}

actors::peer_link_options link_options(const config& c, const std::string& node,
                                       const std::string& role, const std::string& entry,
                                       const address_book& book) {
  actors::peer_link_options o;
  o.peer = entry.find(':') == std::string::npos ? entry : std::string();
  o.address = [book, entry] { return book(entry); };
  o.hello = make_hello(c, node, role);
  return o;
}

class gateway_node : public node {
 public:
  gateway_node(const config& c, const gateway_config& g)
      : name_(g.name), host_(g.http.host), actors_(c) {}

  result<void> start(const config& c, const gateway_config& g, const address_book& book) {
    gateway_ = actors::spawn_gateway(actors_.system(), {g.name, g.max_jobs});
    actors_.own(gateway_);
    std::vector<actors::peer_link_options> links;
    for (const std::string& entry : g.orchestrators) {
      links.push_back(link_options(c, g.name, "gateway", entry, book));
    }
    actors_.own(actors::spawn_directory(actors_.system(), gateway_, std::move(links)));
    auto front = http_front::start(g, gateway_, actors_.loop());
    if (!front) return fail(front.error());
    front_ = std::move(*front);
    log::info("node", "gateway {} serves http://{}", name_, where().text());
    return {};
  }

  ~gateway_node() override { gateway_node::stop(); }
  const std::string& name() const override { return name_; }
  address where() const override { return {host_, front_ ? front_->port() : std::uint16_t{0}}; }

  bool drain(time_point deadline) override {
    front_->server().stop_accepting();
    const bool done = drain_actor(gateway_, deadline);
    return front_->server().drain(deadline) && done;
  }

  void stop() override {
    front_.reset();  // before the loop that it runs on
    gateway_ = actors::gateway_actor{};
    actors_.end();
  }

 private:
  std::string name_;
  std::string host_;
  actor_host actors_;
  actors::gateway_actor gateway_;
  std::unique_ptr<http_front> front_;
};

class orchestrator_node : public node {
 public:
  orchestrator_node(const config& c, const orchestrator_config& o)
      : name_(o.name), where_(o.listen), actors_(c) {}

  result<void> start(const config& c, const orchestrator_config& o) {
    orchestrator_ = actors::spawn_orchestrator(
        actors_.system(), {make_hello(c, o.name, "orchestrator"), static_cast<unsigned>(o.queue),
                           payments::to_text(o.price_per_unit)});
    actors_.own(orchestrator_);
    const auto port = actors_.publish(caf::actor_cast<caf::actor>(orchestrator_), o.listen);
    if (!port) return fail(port.error());
    where_.port = *port;
    log::info("node", "orchestrator {} listens on {}", name_, where_.text());
    return {};
  }

  ~orchestrator_node() override { orchestrator_node::stop(); }
  const std::string& name() const override { return name_; }
  address where() const override { return where_; }
  bool drain(time_point deadline) override { return drain_actor(orchestrator_, deadline); }

  void stop() override {
    orchestrator_ = actors::orchestrator_actor{};
    actors_.end();
  }

 private:
  std::string name_;
  address where_;
  actor_host actors_;
  actors::orchestrator_actor orchestrator_;
};

class worker_node : public node {
 public:
  worker_node(const config& c, const worker_config& w) : name_(w.name), actors_(c) {}

  result<void> start(const config& c, const worker_config& w, const address_book& book) {
    actors::gpu_worker_options o;
    o.node = w.name;
    o.device = w.device;
    o.slots = static_cast<unsigned>(w.slots);
    o.model_budget = w.memory;
    o.orchestrator = link_options(c, w.name, "worker", w.orchestrator, book);
    bool computes = false;
    for (const pipelines::catalogue_entry& m : c.catalogue) {
      const auto& only = w.models;
      if (!only.empty() && std::find(only.begin(), only.end(), m.model) == only.end()) continue;
      o.models.push_back(m);
      if (m.folder.empty()) o.warm.push_back(m.model);
      computes = computes || !m.folder.empty();
    }
    o.warm.insert(o.warm.end(), w.warm.begin(), w.warm.end());
    if (auto ok = open_device(computes, o); !ok) return ok;
    if (auto ok = open_safety(w, computes, o); !ok) return ok;
    worker_ = actors::spawn_gpu_worker(actors_.system(), std::move(o));
    actors_.own(worker_);
    return {};
  }

  ~worker_node() override { worker_node::stop(); }
  const std::string& name() const override { return name_; }
  address where() const override { return {}; }
  bool drain(time_point deadline) override { return drain_actor(worker_, deadline); }

  void stop() override {
    worker_ = actors::gpu_worker_actor{};
    actors_.end();
  }

 private:
  result<void> open_safety(const worker_config& w, bool computes, actors::gpu_worker_options& o) {
    if (w.safety.empty()) {
      if (computes) {
        log::warn("node", "worker {}: pictures are not checked: no safety classifier is configured",
                  name_);
      }
      return {};
    }
    const auto classifier = pipelines::open_classifier(w.safety);
    if (!classifier) return fail(classifier.error());
    o.safety = *classifier;
    log::info("node", "worker {}: pictures are checked by {}", name_, o.safety->name());
    return {};
  }

  // Only a worker with models to compute pays for loading the numeric libraries.
  result<void> open_device(bool computes, actors::gpu_worker_options& o) {
    if (!computes) {
      o.device_name = "no models";
      return {};
    }
    const auto engine = pipelines::get_engine();
    if (!engine) return fail(engine.error());
    std::vector<std::string> warnings;
    const auto info = (*engine)->open_device(o.device, warnings);
    if (!info) {
      return fail(info.error().code, fmt::format("worker {}: {}", name_, info.error().message));
    }
    for (const std::string& w : warnings) log::warn("node", "worker {}: {}", name_, w);
    o.device_name = info->name;
    o.device_memory = info->memory_bytes;
    o.prepare_thread = [engine = *engine, device = o.device] {
      std::vector<std::string> seen_before;
      (void)engine->open_device(device, seen_before);
    };
    return {};
  }

  std::string name_;
  actor_host actors_;
  actors::gpu_worker_actor worker_;
};

// Builds a node and starts it; a node that does not start is taken down again.
template <class Node, class Config, class... Args>
result<std::unique_ptr<node>> launch(const config& c, const Config& mine, const Args&... args) {
  if (auto ok = actor_host::check(c); !ok) return fail(ok.error());
  auto n = std::make_unique<Node>(c, mine);
  if (auto ok = n->start(c, mine, args...); !ok) return fail(ok.error());
  return std::unique_ptr<node>(std::move(n));
}

}  // namespace

result<std::unique_ptr<node>> start_gateway(const config& c, const gateway_config& g,
                                            const address_book& book) {
  return launch<gateway_node>(c, g, book);
}

result<std::unique_ptr<node>> start_orchestrator(const config& c, const orchestrator_config& o) {
  return launch<orchestrator_node>(c, o);
}

result<std::unique_ptr<node>> start_worker(const config& c, const worker_config& w,
                                           const address_book& book) {
  return launch<worker_node>(c, w, book);
}

std::string version() {
  return LP_VERSION;
}

}  // namespace lp::runtime
