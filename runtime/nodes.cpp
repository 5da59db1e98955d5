// SPDX-License-Identifier: MIT
#include "runtime/node.hpp"

#include <algorithm>
#include <future>

#include <fmt/core.h>

#include "actors/directory.hpp"
#include "actors/gateway.hpp"
#include "actors/gpu_worker.hpp"
#include "actors/orchestrator.hpp"
#include "actors/payer.hpp"
#include "actors/redeemer.hpp"
#include "actors/signer_book.hpp"
#include "actors/ticket_validator.hpp"
#include "pipelines/engine.hpp"
#include "runtime/actor_host.hpp"
#include "runtime/base/bytes.hpp"
#include "runtime/base/log.hpp"
#include "runtime/chain_link.hpp"
#include "runtime/http_front.hpp"
#include "runtime/node_money.hpp"
#include "runtime/preflight.hpp"
#include "runtime/unpriced.hpp"

namespace lp::runtime {

namespace {

// Begins the message with the place of the key that it is about.
tl::unexpected<error> at(const std::string& place, const error& e) {
  return fail(e.code, fmt::format("{}: {}", place, e.message));
}

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
      : name_(g.name),
        host_(g.http.host),
        caps_(std::make_shared<payments::price_book>(payments::price_list())),
        actors_(c) {}

  result<void> start(const config& c, const gateway_config& g, const address_book& book,
                     const std::shared_ptr<chain_link>& chain) {
    actors::gateway_options options{g.name, g.max_jobs, {}};
    if (chain) rates_ = chain->rates();
    caps_->replace({g.max_prices, c.payments.feed(rates_)});
    if (c.payments.enabled) {
      auto payer = start_payer(c, chain);
      if (!payer) return fail(payer.error());
      options.payer = *payer;
    }
    gateway_ = actors::spawn_gateway(actors_.system(), std::move(options));
    actors_.own(gateway_);
    std::vector<actors::peer_link_options> links;
    for (const std::string& entry : g.orchestrators) {
      links.push_back(link_options(c, g.name, "gateway", entry, book));
      if (auto ok = bind_to_address(entry, links.back()); !ok) return ok;
    }
    actors_.own(actors::spawn_directory(actors_.system(), gateway_, std::move(links)));
    auto front = http_front::start(g, gateway_, actors_.loop());
    if (!front) return at(g.at.of("http"), front.error());
    front_ = std::move(*front);
    log::info("node", "gateway {} serves http://{}", name_, where().text());
    return {};
  }

  void reload(const config& fresh) override {
    for (const gateway_config& g : fresh.gateways) {
      if (g.name != name_) continue;
      caps_->replace({g.max_prices, fresh.payments.feed(rates_)});
      log::info("node", "gateway {}: {} rules of maximum prices are in effect", name_,
                g.max_prices.size());
    }
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
    ledger_.reset();
  }

 private:
  // An orchestrator that is known by its address has to sign with it, wherever it was found.
  result<void> bind_to_address(const std::string& entry, actors::peer_link_options& link) {
    if (!is_eth_address(entry)) return {};
    const auto who =
        payments::parse_address(entry, fmt::format("gateway {}: orchestrators", name_));
    if (!who) return fail(ec::bad_config, who.error().message);
    link.peer.clear();
    link.accepts = [s = signers_, who = *who](const std::string& peer) {
      return s->claim(peer, who);
    };
    return {};
  }

  result<actors::payer_actor> start_payer(const config& c,
                                          const std::shared_ptr<chain_link>& chain) {
    auto opened = open_ledger(c.payments, name_);
    if (!opened) return fail(opened.error());
    ledger_ = std::move(*opened);
    auto key = open_key(c.payments, name_);
    if (!key) return fail(key.error());
    log::info("node", "gateway {} pays as {}", name_, to_text(key->address()));
    if (chain) {
      if (auto ok = chain->introduce_gateway(*key); !ok) return fail(ok.error());
    }
    const auto look = chain ? chain->own_lookup_for(key->address()) : no_own_chain();
    actors::purse_options o{c.cluster, sender_rules(c.payments), c.payments.suspension,
                            [s = signers_](const std::string& peer) { return s->find(peer); }};
    purse_ = std::make_shared<actors::purse>(std::move(o), std::move(*key), caps_, *ledger_, look);
    auto payer = actors::spawn_payer(actors_.system(), purse_, std::make_shared<steady_time>());
    actors_.own(payer);
    return payer;
  }

  std::string name_;
  std::string host_;
  std::shared_ptr<payments::price_book> caps_;
  std::shared_ptr<const payments::price_feed> rates_;  ///< the chain's
  std::shared_ptr<actors::signer_book> signers_ = std::make_shared<actors::signer_book>();
  std::shared_ptr<actors::purse> purse_;
  std::unique_ptr<payments::ledger> ledger_;  ///< after what its callbacks reach
  actor_host actors_;
  actors::gateway_actor gateway_;
  std::unique_ptr<http_front> front_;
};

class orchestrator_node : public node {
 public:
  orchestrator_node(const config& c, const orchestrator_config& o)
      : name_(o.name),
        where_(o.listen),
        prices_(std::make_shared<payments::price_book>(payments::price_list())),
        actors_(c) {}

  result<void> start(const config& c, const orchestrator_config& o,
                     const std::shared_ptr<chain_link>& chain) {
    actors::orchestrator_options options;
    options.hello = make_hello(c, o.name, "orchestrator");
    options.queue_limit = static_cast<unsigned>(o.queue);
    options.prices = prices_;
    if (chain) rates_ = chain->rates();
    prices_->replace({o.prices, c.payments.feed(rates_)});
    if (c.payments.enabled) {
      auto validators = start_validators(c, chain);
      if (!validators) return fail(validators.error());
      options.validators = std::move(*validators);
    }
    orchestrator_ = actors::spawn_orchestrator(actors_.system(), std::move(options));
    actors_.own(orchestrator_);
    const auto port = actors_.publish(caf::actor_cast<caf::actor>(orchestrator_), o.listen);
    if (!port) return at(o.at.of("listen"), port.error());
    where_.port = *port;
    log::info("node", "orchestrator {} listens on {}", name_, where_.text());
    return {};
  }

  void reload(const config& fresh) override {
    for (const orchestrator_config& o : fresh.orchestrators) {
      if (o.name != name_) continue;
      prices_->replace({o.prices, fresh.payments.feed(rates_)});
      if (const std::string gift = unpriced(fresh, o); !gift.empty()) log::warn("node", "{}", gift);
      actors::post(orchestrator_, actors::announce_atom_v);
      log::info("node", "orchestrator {}: {} price rules are in effect", name_, o.prices.size());
    }
  }

  ~orchestrator_node() override { orchestrator_node::stop(); }
  const std::string& name() const override { return name_; }
  address where() const override { return where_; }
  bool drain(time_point deadline) override { return drain_actor(orchestrator_, deadline); }

  void stop() override {
    orchestrator_ = actors::orchestrator_actor{};
    actors_.end();
    ledger_.reset();
  }

 private:
  // Two: while one checks signatures, the other takes the next job.
  result<std::vector<actors::ticket_validator_actor>> start_validators(
      const config& c, const std::shared_ptr<chain_link>& chain) {
    auto opened = open_ledger(c.payments, name_);
    if (!opened) return fail(opened.error());
    ledger_ = std::move(*opened);
    auto key = open_key(c.payments, name_);
    if (!key) return fail(key.error());
    log::info("node", "orchestrator {} is paid as {}", name_, to_text(key->address()));
    if (chain) {
      const auto ok = chain->introduce_orchestrator(*key, "https://" + where_.text());
      if (!ok) return fail(ok.error());
      actors_.own(actors::spawn_redeemer(actors_.system(), chain->redeeming(*ledger_, *key)));
    }
    const auto time = time_of(*ledger_, "orchestrator " + name_, chain == nullptr);
    const auto look = chain ? chain->lookup_for(key->address()) : no_chain(c.payments, time);
    actors::till_options o{
        {c.cluster, name_}, where_.text(), recipient_rules(c.payments), c.payments.terms_life};
    till_ = std::make_shared<actors::till>(std::move(o), std::move(*key), prices_, *ledger_, look);
    std::vector<actors::ticket_validator_actor> out;
    for (int i = 0; i < 2; ++i) {
      out.push_back(actors::spawn_ticket_validator(actors_.system(), till_, time));
      actors_.own(out.back());
    }
    return out;
  }

  std::string name_;
  address where_;
  std::shared_ptr<payments::price_book> prices_;
  std::shared_ptr<const payments::price_feed> rates_;  ///< the chain's
  std::shared_ptr<actors::till> till_;
  std::unique_ptr<payments::ledger> ledger_;  ///< after what its callbacks reach
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
    o.memory_limit = w.memory_limit;
    o.device.low_memory = w.low_memory;
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
    o.only = w.models;
    if (!c.models_dir.empty()) {
      o.watch = std::make_shared<pipelines::model_watch>(
          pipelines::model_places{c.models_dir, c.default_models, c.hub_models}, c.catalogue);
      computes = computes || w.models.empty();  // a model may come
    }
    if (auto ok = open_device(w, computes, o); !ok) return ok;
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
        log::warn("node",
                  "worker {}: no safety classifier is configured: only pictures of models that "
                  "bring a safety checker are checked",
                  name_);
      }
      return {};
    }
    auto classifier = pipelines::open_classifier(w.safety);
    if (!classifier) return at(w.at.of("safety"), classifier.error());
    o.safety = std::move(*classifier);
    // It stays in memory from the first picture on, beside all models and jobs.
    const std::uint64_t own = o.safety->bytes();
    if (o.device.type == pipelines::device::kind::cpu && o.memory_limit > 0) {
      if (own >= o.memory_limit) {
        return fail(ec::bad_config,
                    fmt::format("{}: {} is no more than safety takes, {}", w.at.of("memory_limit"),
                                human_bytes(o.memory_limit), human_bytes(own)));
      }
      o.memory_limit -= own;
    }
    log::info("node", "worker {}: pictures are checked by {}", name_, o.safety->name());
    return {};
  }

  // Only a worker with models to compute pays for loading the numeric libraries.
  result<void> open_device(const worker_config& w, bool computes, actors::gpu_worker_options& o) {
    if (auto ok = check_device(w); !ok) return ok;
    if (!computes) {
      o.device_name = "no models";
      return {};
    }
    const auto engine = pipelines::get_engine();
    if (!engine) return fail(engine.error());
    std::vector<std::string> warnings;
    const auto info = (*engine)->open_device(o.device, warnings);
    if (!info) return at(w.at.of("device"), info.error());
    for (const std::string& advice : warnings) log::warn("node", "worker {}: {}", name_, advice);
    o.device_name = info->name;
    o.device_memory = info->memory_bytes;
    if (o.memory_limit == 0) o.memory_limit = info->memory_bytes;
    // What is foreseen is a guess: nothing goes beyond the limit, whatever was foreseen.
    if (o.device.type == pipelines::device::kind::cpu) (*engine)->limit_memory(o.memory_limit);
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
  if (auto ok = actor_host::check(c); !ok) return at(c.tls.at.table, ok.error());
  auto n = std::make_unique<Node>(c, mine);
  if (auto ok = n->start(c, mine, args...); !ok) return fail(ok.error());
  return std::unique_ptr<node>(std::move(n));
}

}  // namespace

result<std::unique_ptr<node>> start_gateway(const config& c, const gateway_config& g,
                                            const address_book& book,
                                            const std::shared_ptr<chain_link>& chain) {
  return launch<gateway_node>(c, g, book, chain);
}

result<std::unique_ptr<node>> start_orchestrator(const config& c, const orchestrator_config& o,
                                                 const std::shared_ptr<chain_link>& chain) {
  return launch<orchestrator_node>(c, o, chain);
}

result<std::unique_ptr<node>> start_worker(const config& c, const worker_config& w,
                                           const address_book& book) {
  return launch<worker_node>(c, w, book);
}

std::string version() {
  return LP_VERSION;
}

}  // namespace lp::runtime
