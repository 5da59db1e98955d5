// SPDX-License-Identifier: MIT
#include "runtime/preflight.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "net/tls_check.hpp"
#include "pipelines/engine.hpp"
#include "pipelines/safety.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/chain_link.hpp"
#include "runtime/node_money.hpp"

namespace lp::runtime {

namespace {

namespace fs = std::filesystem;

class examination {
 public:
  examination(const config& c, const std::string& only) : c_(c), only_(only) {}

  findings run() {
    out_.warnings = c_.warnings;
    take({}, check_ports(c_, only_));
    look_at_certificates();
    look_at_models();
    look_at_chain();
    for (const orchestrator_config& o : c_.orchestrators) {
      if (left_out(o.name)) continue;
      look_at_address(o.at.of("listen"), o.listen);
      look_at_money(o.name);
    }
    for (const worker_config& w : c_.workers) {
      if (!left_out(w.name)) look_at_worker(w);
    }
    for (const gateway_config& g : c_.gateways) {
      if (left_out(g.name)) continue;
      look_at_address(g.at.of("http"), g.http);
      look_at_money(g.name);
    }
    return std::move(out_);
  }

 private:
  bool left_out(const std::string& name) const { return !only_.empty() && name != only_; }

  // `place`: empty where the message has its own.
  void take(const std::string& place, const result<void>& outcome) {
    if (outcome) return;
    const std::string& why = outcome.error().message;
    std::string text = place.empty() ? why : fmt::format("{}: {}", place, why);
    auto& all = out_.mistakes;
    if (std::find(all.begin(), all.end(), text) == all.end()) all.push_back(std::move(text));
  }

  void look_at_certificates() {
    if (!c_.tls.enabled()) return;
    const net::tls_files files{c_.tls.certificate.string(), c_.tls.key.string(),
                               c_.tls.authority.string()};
    if (const auto usable = net::load_tls(files); !usable) {
      return take(c_.tls.at.table, fail(usable.error()));
    }
    take(c_.tls.at.of("certificate"), net::check_certificate(files));
  }

  void look_at_models() {
    if (c_.hub_models.empty()) return;
    if (::access(c_.models_dir.c_str(), W_OK | X_OK) == 0) return;
    take(c_.models_at.of("dir"),
         fail(ec::bad_config, fmt::format("models cannot be pulled into {}: {}",
                                          c_.models_dir.string(), std::strerror(errno))));
  }

  bool has_money(const std::string& name) const {
    const auto is = [&](const worker_config& w) { return w.name == name; };
    return c_.payments.enabled && std::none_of(c_.workers.begin(), c_.workers.end(), is);
  }

  void look_at_chain() {
    if (auto ok = check_chain(c_, only_); !ok) return take({}, ok);
    const bool rpc = c_.payments.chain == payments_config::chain_kind::rpc;
    if (!rpc || !(only_.empty() ? c_.payments.enabled : has_money(only_))) return;
    const auto opened = chain_link::open(c_.payments);
    if (!opened) take(c_.payments.at.line, fail(opened.error()));
  }

  void look_at_money(const std::string& name) {
    if (c_.payments.enabled) take(c_.payments.at.line, check_money(c_.payments, name));
  }

  // Binds any port of the host, and below 1024 the one that is meant, which few users may. That
  // somebody listens on it now says nothing: it may be this very node.
  void look_at_address(const std::string& place, const address& where) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    addrinfo* found = nullptr;
    const auto port = std::to_string(where.port < 1024 ? where.port : 0);
    if (const int bad = ::getaddrinfo(where.host.c_str(), port.c_str(), &hints, &found); bad != 0) {
      const char* const why = ::gai_strerror(bad);
      return take(place,
                  fail(ec::bad_config, fmt::format("cannot listen on {}: {}", where.text(), why)));
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> held(found, ::freeaddrinfo);
    const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int one = 1;
    (void)::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    const bool bound = fd >= 0 && ::bind(fd, found->ai_addr, found->ai_addrlen) == 0;
    const int why = errno;
    if (fd >= 0) ::close(fd);
    if (bound || why == EADDRINUSE) return;
    take(place, fail(ec::bad_config,
                     fmt::format("cannot listen on {}: {}", where.text(), std::strerror(why))));
  }

  bool computes(const worker_config& w) const {
    return std::any_of(c_.catalogue.begin(), c_.catalogue.end(), [&](const auto& m) {
      const bool offered = w.models.empty() ||
                           std::find(w.models.begin(), w.models.end(), m.model) != w.models.end();
      return offered && !m.folder.empty();
    });
  }

  void look_at_worker(const worker_config& w) {
    if (auto ok = check_device(w); !ok) return take({}, ok);
    if (computes(w)) {
      const auto engine = pipelines::get_engine();
      if (!engine) return take(w.at.table, fail(engine.error()));
      std::vector<std::string> advice;
      const auto opened = (*engine)->open_device(w.device, advice);
      if (!opened) take(w.at.of("device"), fail(opened.error()));
      for (const std::string& a : advice) {
        out_.warnings.push_back(fmt::format("{}: {}", w.at.of("device"), a));
      }
    }
    if (w.safety.empty()) return;
    const auto checker = pipelines::open_classifier(w.safety);
    if (!checker) take(w.at.of("safety"), fail(checker.error()));
  }

  const config& c_;
  const std::string& only_;
  findings out_;
};

}  // namespace

findings look_ahead(const config& c, const std::string& only) {
  return examination(c, only).run();
}

result<void> find_node(const config& c, const std::string& only) {
  std::vector<std::string> names;
  for (const auto& g : c.gateways) names.push_back(g.name);
  for (const auto& o : c.orchestrators) names.push_back(o.name);
  for (const auto& w : c.workers) names.push_back(w.name);
  if (only.empty() || std::find(names.begin(), names.end(), only) != names.end()) return {};
  return fail(ec::bad_config, fmt::format("there is no node \"{}\"; the file has: {}", only,
                                          fmt::join(names, ", ")));
}

result<void> check_device(const worker_config& w) {
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  if (w.device.type != pipelines::device::kind::cpu || w.device.threads <= cores) return {};
  return fail(ec::bad_config,
              fmt::format("{}: {}: this host has {} core{}: expected at most \"cpu:{}\", or "
                          "\"cpu\" for all of them",
                          w.at.of("device"), w.device.name(), cores, cores == 1 ? "" : "s", cores));
}

result<void> check_ports(const config& c, const std::string& only) {
  if (only.empty()) return {};
  const auto check = [&](const std::string& who, const std::string& entry) -> result<void> {
    const auto is = [&](const orchestrator_config& o) { return o.name == entry; };
    const auto o = std::find_if(c.orchestrators.begin(), c.orchestrators.end(), is);
    if (o == c.orchestrators.end() || o->listen.port != 0) return {};
    if (only != who && only != o->name) return {};
    return fail(ec::bad_config,
                fmt::format("{}: port 0 is found by nodes of one process alone: expected a port, "
                            "by which {} finds {}",
                            o->at.of("listen"), who, o->name));
  };
  for (const gateway_config& g : c.gateways) {
    for (const std::string& entry : g.orchestrators) {
      if (auto ok = check(g.name, entry); !ok) return ok;
    }
  }
  for (const worker_config& w : c.workers) {
    if (auto ok = check(w.name, w.orchestrator); !ok) return ok;
  }
  return {};
}

result<void> check_chain(const config& c, const std::string& only) {
  const payments_config& money = c.payments;
  const auto is = [&](const worker_config& w) { return w.name == only; };
  const bool worker = std::any_of(c.workers.begin(), c.workers.end(), is);
  if (!money.enabled || worker || only.empty()) return {};
  if (money.chain != payments_config::chain_kind::dev || money.dev_port != 0) return {};
  return fail(ec::bad_config,
              fmt::format("{}: dev: set dev_port, by which every process finds the chain, or start "
                          "every node in one process, without --node",
                          money.at.of("chain")));
}

}  // namespace lp::runtime
