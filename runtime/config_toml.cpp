// SPDX-License-Identifier: MIT
// The effective configuration as a file: what --check prints.
#include <sstream>

#include <toml++/toml.h>

#include "runtime/config.hpp"

namespace lp::runtime {

namespace {

toml::array list(const std::vector<std::string>& all) {
  toml::array out;
  for (const std::string& one : all) out.push_back(one);
  return out;
}

std::string ms(milliseconds t) {
  return std::to_string(t.count()) + "ms";
}

std::int64_t number(std::uint64_t n) {
  return static_cast<std::int64_t>(n);
}

toml::table to_table(const gateway_config& g) {
  return toml::table{{"name", g.name},
                     {"http", g.http.text()},
                     {"orchestrators", list(g.orchestrators)},
                     {"tokens", list(std::vector<std::string>(g.tokens.size(), "..."))},
                     {"job_timeout", ms(g.job_timeout)},
                     {"max_jobs", number(g.max_jobs)},
                     {"max_body", number(g.max_body)},
                     {"bodies", number(g.bodies)},
                     {"max_connections", number(g.max_connections)},
                     {"max_connections_per_address", number(g.max_connections_per_address)},
                     {"idle_timeout", ms(g.idle_timeout)},
                     {"body_timeout", ms(g.body_timeout)},
                     {"cors_origins", list(g.cors_origins)},
                     {"media_bytes", number(g.media_bytes)},
                     {"media_life", ms(g.media_life)},
                     {"max_price", to_array(g.max_prices)}};
}

toml::table to_table(const orchestrator_config& o) {
  return toml::table{{"name", o.name},
                     {"listen", o.listen.text()},
                     {"queue", number(o.queue)},
                     {"price", to_array(o.prices)}};
}

toml::table to_table(const worker_config& w) {
  toml::table out{{"name", w.name},
                  {"orchestrator", w.orchestrator},
                  {"device", w.device.name()},
                  {"models", list(w.models)},
                  {"warm", list(w.warm)},
                  {"slots", number(w.slots)},
                  {"memory", number(w.memory)},
                  {"low_memory", w.low_memory},
                  {"safety", w.safety.string()}};
  // Absent means what the device has.
  if (w.memory_limit > 0) out.insert("memory_limit", number(w.memory_limit));
  return out;
}

template <class T>
toml::array tables(const std::vector<T>& all) {
  toml::array out;
  for (const T& one : all) out.push_back(to_table(one));
  return out;
}

}  // namespace

std::string to_toml(const config& c) {
  toml::table cluster{{"id", c.cluster}, {"drain_timeout", ms(c.drain_timeout)}};
  if (c.tls.enabled()) {
    cluster.insert("tls", toml::table{{"certificate", c.tls.certificate.string()},
                                      {"key", c.tls.key.string()},
                                      {"authority", c.tls.authority.string()}});
  }
  toml::table defaults;
  for (const auto& m : c.catalogue) {
    if (m.is_default) defaults.insert_or_assign(m.pipeline, m.model);
  }
  toml::table models{
      {"dir", c.models_dir.string()}, {"pull", list(c.hub_models)}, {"default", defaults}};
  toml::table root{{"log", c.log},
                   {"cluster", cluster},
                   {"models", models},
                   {"gateway", tables(c.gateways)},
                   {"orchestrator", tables(c.orchestrators)},
                   {"worker", tables(c.workers)}};
  if (c.payments.enabled) root.insert("payments", to_table(c.payments));
  std::ostringstream out;
  out << root << '\n';
  return out.str();
}

}  // namespace lp::runtime
