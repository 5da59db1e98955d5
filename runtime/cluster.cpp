// SPDX-License-Identifier: MIT
#include "runtime/cluster.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "net/tls_check.hpp"
#include "runtime/base/log.hpp"
#include "runtime/chain_link.hpp"
#include "runtime/preflight.hpp"

namespace lp::runtime {

namespace {

template <class T>
const T* by_name(const std::vector<T>& all, const std::string& name) {
  const auto it = std::find_if(all.begin(), all.end(), [&](const T& x) { return x.name == name; });
  return it == all.end() ? nullptr : &*it;
}

// In the order of starting: who is connected to comes before who connects.
std::vector<std::string> names_in_order(const config& c) {
  std::vector<std::string> out;
  for (const auto& o : c.orchestrators) out.push_back(o.name);
  for (const auto& w : c.workers) out.push_back(w.name);
  for (const auto& g : c.gateways) out.push_back(g.name);
  return out;
}

}  // namespace

result<std::unique_ptr<cluster>> cluster::start(config c, const std::string& only) {
  const std::vector<std::string> names = names_in_order(c);
  if (auto ok = find_node(c, only); !ok) return fail(ok.error());
  if (auto ok = check_ports(c, only); !ok) return fail(ok.error());
  if (c.tls.enabled()) {
    const auto ok = net::check_certificate(
        {c.tls.certificate.string(), c.tls.key.string(), c.tls.authority.string()});
    if (!ok) log::error("runtime", "{}: {}", c.tls.at.of("certificate"), ok.error().message);
  }
  std::unique_ptr<cluster> out(new cluster(std::move(c)));
  if (auto ok = out->open_chain(only); !ok) return fail(ok.error());
  for (const std::string& name : names) {
    if (!only.empty() && name != only) continue;
    if (auto ok = out->start_node(name); !ok) return fail(ok.error());
  }
  if (out->chain_) {
    if (auto ok = out->chain_->start_blocks(); !ok) return fail(ok.error());
  }
  return out;
}

// Workers have no money.
result<void> cluster::open_chain(const std::string& only) {
  const payments_config& money = config_.payments;
  if (!money.enabled || money.chain == payments_config::chain_kind::off) return {};
  if (by_name(config_.workers, only) != nullptr) return {};
  if (auto ok = check_chain(config_, only); !ok) return ok;
  auto opened = chain_link::open(money);
  if (!opened) {
    return fail(ec::bad_config, fmt::format("{}: {}", money.at.line, opened.error().message));
  }
  chain_ = std::move(*opened);
  return {};
}

cluster::~cluster() {
  shut_down(clock::now());
}

node* cluster::find(const std::string& name) {
  const auto it = nodes_.find(name);
  return it == nodes_.end() ? nullptr : it->second.get();
}

void cluster::kill(const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    ports_.erase(name);
  }
  nodes_.erase(name);
}

result<void> cluster::start_node(const std::string& name) {
  const address_book book = [this](const std::string& entry) { return look_up(entry); };
  result<std::unique_ptr<node>> started = fail(ec::bad_config, "there is no node " + name);
  if (const auto* o = by_name(config_.orchestrators, name)) {
    started = start_orchestrator(config_, *o, chain_);
  } else if (const auto* w = by_name(config_.workers, name)) {
    started = start_worker(config_, *w, book);
  } else if (const auto* g = by_name(config_.gateways, name)) {
    started = start_gateway(config_, *g, book, chain_);
  }
  if (!started) return fail(started.error());
  const std::lock_guard lock(mutex_);
  ports_[name] = (*started)->where().port;
  nodes_[name] = std::move(*started);
  return {};
}

void cluster::reload(const config& fresh) {
  config next = config_;
  for (gateway_config& g : next.gateways) {
    if (const auto* same = by_name(fresh.gateways, g.name)) g.max_prices = same->max_prices;
  }
  for (orchestrator_config& o : next.orchestrators) {
    if (const auto* same = by_name(fresh.orchestrators, o.name)) o.prices = same->prices;
  }
  next.payments.rates = fresh.payments.rates;
  // Which rates are the chain's is decided at the start.
  for (const auto& [currency, where] : next.payments.aggregators) {
    next.payments.rates.erase(currency);
  }
  if (to_toml(next) != to_toml(fresh)) {
    log::warn("runtime", "other keys than prices have changed: they take effect at the next start");
  }
  config_ = std::move(next);
  for (auto& [name, n] : nodes_) n->reload(config_);
}

actors::endpoint cluster::look_up(const std::string& entry) {
  if (is_eth_address(entry)) return chain_ ? chain_->find_service(entry) : actors::endpoint{};
  const auto configured = resolve_orchestrator(config_, entry);
  if (!configured) return {};
  const std::lock_guard lock(mutex_);
  const auto here = ports_.find(entry);
  return {configured->host, here == ports_.end() ? configured->port : here->second};
}

bool cluster::shut_down(time_point deadline) {
  bool drained = true;
  // From where jobs come to where they go.
  std::vector<std::string> order;
  for (const auto& g : config_.gateways) order.push_back(g.name);
  for (const auto& o : config_.orchestrators) order.push_back(o.name);
  for (const auto& w : config_.workers) order.push_back(w.name);
  for (const std::string& name : order) {
    if (node* n = find(name)) drained = n->drain(deadline) && drained;
  }
  for (const std::string& name : order) {
    if (node* n = find(name)) n->stop();
  }
  nodes_.clear();
  return drained;
}

}  // namespace lp::runtime
