// SPDX-License-Identifier: MIT
#include "runtime/config.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include <fmt/core.h>

#include "net/cors.hpp"
#include "net/hub_client.hpp"
#include "runtime/config_reader.hpp"
#include "runtime/unpriced.hpp"

namespace lp::runtime {

namespace {

// Carries what every part of the reading needs, and the first error of any part.
struct reading {
  std::string file;
  std::filesystem::path folder;
  config out;
  std::map<std::string, std::string> names;  ///< node name -> role
  std::map<std::string, std::string> ports;  ///< "host:port" -> node name

  table_reader table(const toml::table& t, std::string path) const {
    return table_reader(t, std::move(path), file);
  }
  std::filesystem::path resolve(const std::string& path) const {
    return path.empty() ? std::filesystem::path() : (folder / path).lexically_normal();
  }
};

std::string read_name(reading& r, table_reader& t, const std::string& role) {
  std::string name = t.required_text("name");
  if (name.find_first_of("/ \t:") != std::string::npos) {
    t.mistake("name", "must hold no '/', ':' or space");
  }
  const auto [it, fresh] = r.names.emplace(name, role);
  if (!fresh)
    t.mistake("name", fmt::format("\"{}\" is already a {} of this file", name, it->second));
  return name;
}

address read_address(reading& r, table_reader& t, const std::string& key, const std::string& node) {
  const auto a = parse_address(t.required_text(key));
  if (!a) {
    t.mistake(key, a.error().message);
    return {};
  }
  if (a->port != 0) {
    const auto [it, fresh] = r.ports.emplace(a->text(), node);
    if (!fresh) t.mistake(key, fmt::format("{} already listens on {}", it->second, a->text()));
  }
  return *a;
}

result<void> read_cluster(reading& r, const toml::table* table) {
  if (table == nullptr) return {};
  table_reader t = r.table(*table, "[cluster]");
  r.out.cluster = t.filled_text("id", r.out.cluster);
  r.out.drain_timeout = t.time("drain_timeout", r.out.drain_timeout);
  if (const toml::table* tls = t.table("tls")) {
    table_reader x = r.table(*tls, "[cluster.tls]");
    r.out.tls.at = x.places();
    const std::pair<const char*, std::filesystem::path*> files[] = {
        {"certificate", &r.out.tls.certificate},
        {"key", &r.out.tls.key},
        {"authority", &r.out.tls.authority}};
    for (const auto& [key, path] : files) {
      *path = r.resolve(x.required_text(key));
      if (!std::filesystem::is_regular_file(*path)) {
        x.mistake(key, fmt::format("there is no file {}", path->string()));
      }
    }
    if (auto ok = x.finish(); !ok) return ok;
  }
  return t.finish();
}

// Nodes dial no farther than they listen. What a name of this file leads to was checked where it
// listens; what the chain says is known only when it is looked up.
void check_dialled(const reading& r, table_reader& t, const char* key, const std::string& entry) {
  if (r.out.tls.enabled() || entry.find(':') == std::string::npos) return;
  const auto a = parse_address(entry);
  if (!a || a->loopback()) return;
  t.mistake(key, fmt::format("{} lies beyond this host, where nodes speak mutual TLS only: set "
                             "certificate, key and authority in [cluster.tls]",
                             entry));
}

// A model of a hub has its repository's name as id.
std::string local_id(const std::string& text) {
  constexpr std::string_view scheme = "hf://";
  if (!text.starts_with(scheme)) return text;
  const auto name = net::parse_hub_name(text);
  return name ? name->text() : text;
}

std::vector<std::string> local_ids(std::vector<std::string> texts) {
  for (std::string& t : texts) t = local_id(t);
  return texts;
}

result<void> read_models(reading& r, const toml::table* table) {
  std::map<std::string, std::string> defaults;
  if (table != nullptr) {
    table_reader t = r.table(*table, "[models]");
    r.out.models_at = t.places();
    r.out.models_dir = r.resolve(t.text("dir", {}));
    if (!r.out.models_dir.empty() && !std::filesystem::is_directory(r.out.models_dir)) {
      t.mistake("dir", fmt::format("there is no folder {}", r.out.models_dir.string()));
    }
    for (const std::string& name : t.texts("pull")) {
      const auto parsed = net::parse_hub_name(name);
      if (!parsed) t.mistake("pull", parsed.error().message);
      if (parsed) r.out.hub_models.push_back(parsed->text());
    }
    if (!r.out.hub_models.empty() && r.out.models_dir.empty()) {
      t.mistake("dir", "must name the folder that models are pulled into");
    }
    if (const toml::table* d = t.table("default")) {
      table_reader x = r.table(*d, "[models.default]");
      for (const auto& [key, value] : *d) {
        const std::string pipeline(key.str());
        if (pipelines::find(pipeline) == nullptr) x.mistake(pipeline, "is no pipeline");
        defaults[pipeline] = local_id(x.required_text(pipeline));
      }
      if (auto ok = x.finish(); !ok) return ok;
    }
    if (auto ok = t.finish(); !ok) return ok;
  }
  auto found = pipelines::scan_models(r.out.models_dir, defaults, r.out.hub_models);
  if (!found) {
    const auto line = table == nullptr ? 1 : table->source().begin.line;
    return fail(ec::bad_config,
                fmt::format("{}:{}: [models]: {}", r.file, line, found.error().message));
  }
  r.out.catalogue = std::move(*found);
  r.out.default_models = std::move(defaults);
  return {};
}

// What a client can send after "Bearer ".
bool is_token(const std::string& text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
}

// What strangers may take of a gateway.
void read_limits(table_reader& t, gateway_config& g) {
  g.bodies = t.bytes("bodies", std::max(g.bodies, g.max_body));
  if (g.bodies < g.max_body) t.mistake("bodies", "expected at least max_body, which is of one");
  g.max_connections = t.whole("max_connections", g.max_connections, 1, 1'000'000);
  g.max_connections_per_address =
      t.whole("max_connections_per_address",
              std::min(g.max_connections_per_address, (g.max_connections + 1) / 2), 0, 1'000'000);
  g.idle_timeout = t.time("idle_timeout", g.idle_timeout);
  g.body_timeout = t.time("body_timeout", g.body_timeout);
  for (const std::string& text : t.texts("cors_origins")) {
    auto origin = net::parse_origin(text);
    if (!origin) t.mistake("cors_origins", origin.error().message);
    if (origin) g.cors_origins.push_back(std::move(*origin));
  }
}

result<void> read_gateway(reading& r, const toml::table& table) {
  table_reader t = r.table(table, "[[gateway]]");
  gateway_config g;
  g.at = t.places();
  g.name = read_name(r, t, "gateway");
  g.http = read_address(r, t, "http", g.name);
  g.orchestrators = t.texts("orchestrators");
  if (g.orchestrators.empty()) t.mistake("orchestrators", "must name at least one");
  for (const std::string& entry : g.orchestrators) {
    if (std::count(g.orchestrators.begin(), g.orchestrators.end(), entry) == 1) continue;
    t.mistake("orchestrators", fmt::format("names \"{}\" twice", entry));
  }
  for (const std::string& entry : g.orchestrators) check_dialled(r, t, "orchestrators", entry);
  g.tokens = t.texts("tokens");
  for (const std::string& token : g.tokens) {
    if (!is_token(token)) t.mistake("tokens", "expected texts of visible ASCII without spaces");
  }
  g.job_timeout = t.time("job_timeout", g.job_timeout);
  g.max_jobs = t.whole("max_jobs", g.max_jobs, 1, 100'000);
  g.max_body = t.bytes("max_body", g.max_body);
  read_limits(t, g);
  g.media_bytes = t.bytes("media_bytes", g.media_bytes);
  g.media_life = t.time("media_life", g.media_life);
  auto caps = read_price_rules(t, "gateway", "max_price", r.file);
  if (!caps) return fail(caps.error());
  g.max_prices = std::move(*caps);
  r.out.gateways.push_back(std::move(g));
  return t.finish();
}

result<void> read_orchestrator(reading& r, const toml::table& table) {
  table_reader t = r.table(table, "[[orchestrator]]");
  orchestrator_config o;
  o.at = t.places();
  o.name = read_name(r, t, "orchestrator");
  o.listen = read_address(r, t, "listen", o.name);
  o.queue = t.whole("queue", o.queue, 1, 100'000);
  if (const std::string price = t.number_text("price_per_unit", {}); !price.empty()) {
    const auto money = payments::parse_money(price);
    if (!money) t.mistake("price_per_unit", money.error().message);
    if (money) o.prices.push_back({{}, {}, {}, *money, 1});
  }
  auto rules = read_price_rules(t, "orchestrator", "price", r.file);
  if (!rules) return fail(rules.error());
  o.prices.insert(o.prices.end(), rules->begin(), rules->end());
  if (!o.listen.loopback() && !r.out.tls.enabled()) {
    t.mistake("listen",
              "beyond this host nodes speak mutual TLS only: set certificate, key and authority in "
              "[cluster.tls]");
  }
  r.out.orchestrators.push_back(std::move(o));
  return t.finish();
}

void check_models(reading& r, table_reader& t, const worker_config& w) {
  const auto known = [&](const std::string& id) {
    return std::any_of(r.out.catalogue.begin(), r.out.catalogue.end(),
                       [&](const auto& m) { return m.model == id; });
  };
  for (const std::string& id : w.models) {
    if (!known(id))
      t.mistake("models", fmt::format("there is no model \"{}\" in [models] dir", id));
  }
  for (const std::string& id : w.warm) {
    const bool offered =
        w.models.empty() || std::find(w.models.begin(), w.models.end(), id) != w.models.end();
    if (!known(id)) t.mistake("warm", fmt::format("there is no model \"{}\" in [models] dir", id));
    if (!offered) t.mistake("warm", fmt::format("\"{}\" is not among this worker's models", id));
  }
}

result<void> read_worker(reading& r, const toml::table& table) {
  table_reader t = r.table(table, "[[worker]]");
  worker_config w;
  w.at = t.places();
  w.name = read_name(r, t, "worker");
  w.orchestrator = t.required_text("orchestrator");
  check_dialled(r, t, "orchestrator", w.orchestrator);
  if (auto d = pipelines::parse_device(t.text("device", "cpu"))) {
    w.device = *d;
  } else {
    t.mistake("device", d.error().message);
  }
  w.models = local_ids(t.texts("models"));
  w.warm = local_ids(t.texts("warm"));
  w.slots = t.whole("slots", w.slots, 1, 10'000);
  w.memory_limit = t.bytes("memory_limit", 0);
  w.memory = t.bytes("memory", w.memory_limit > 0 ? std::min(w.memory, w.memory_limit) : w.memory);
  if (w.memory_limit > 0 && w.memory > w.memory_limit)
    t.mistake("memory", "expected at most memory_limit, which is for models and jobs together");
  w.low_memory = t.flag("low_memory", w.low_memory);
  w.safety = r.resolve(t.text("safety", {}));
  check_models(r, t, w);
  r.out.workers.push_back(std::move(w));
  return t.finish();
}

std::string price_place(const orchestrator_config& o) {
  return o.at.of(o.at.keys.count("price") > 0 ? "price" : "price_per_unit");
}

// Names that point to another node are checked last, since nodes may stand in any order.
result<void> check_references(const reading& r) {
  if (r.names.empty()) {
    return fail(ec::bad_config,
                fmt::format("{}: no node is configured: add [[gateway]], [[orchestrator]] or "
                            "[[worker]]",
                            r.file));
  }
  const auto check = [&](const std::string& where, const std::string& entry) -> result<void> {
    if (auto a = resolve_orchestrator(r.out, entry); !a) {
      return fail(ec::bad_config, fmt::format("{}: {}", where, a.error().message));
    }
    return {};
  };
  const payments_config& money = r.out.payments;
  for (const gateway_config& g : r.out.gateways) {
    const std::string where = g.at.of("orchestrators");
    for (const std::string& entry : g.orchestrators) {
      if (is_eth_address(entry)) {
        if (money.enabled && money.chain != payments_config::chain_kind::off) continue;
        return fail(ec::bad_config,
                    fmt::format("{}: {}: an address is looked up on the chain: set [payments] "
                                "chain to dev or rpc",
                                where, entry));
      }
      if (auto ok = check(where, entry); !ok) return ok;
    }
    if (auto ok = check_currencies(g.max_prices, money, g.at.of("max_price")); !ok) return ok;
  }
  for (const orchestrator_config& o : r.out.orchestrators) {
    if (auto ok = check_prices(o.prices, money, price_place(o)); !ok) return ok;
  }
  for (const worker_config& w : r.out.workers) {
    if (auto ok = check(w.at.of("orchestrator"), w.orchestrator); !ok) return ok;
  }
  return {};
}

// Prices without money: somebody expects to be paid.
void warn_of_prices(config& c) {
  c.warnings = c.payments.warnings;
  for (const orchestrator_config& o : c.orchestrators) {
    const std::string gift = unpriced(c, o);
    if (!gift.empty()) c.warnings.push_back(fmt::format("{}: {}", price_place(o), gift));
  }
  if (c.payments.enabled) return;
  const char* const why = "without a table [payments] no job is paid for and no price is heeded";
  for (const gateway_config& g : c.gateways) {
    if (!g.max_prices.empty()) {
      c.warnings.push_back(fmt::format("{}: {}", g.at.of("max_price"), why));
    }
  }
  for (const orchestrator_config& o : c.orchestrators) {
    const bool asks = std::any_of(o.prices.begin(), o.prices.end(),
                                  [](const auto& rule) { return rule.amount.amount != 0; });
    if (asks) c.warnings.push_back(fmt::format("{}: {}", price_place(o), why));
  }
}

using reader_of = result<void> (*)(reading&, const toml::table&);

result<void> read_all(reading& r, const toml::table& root) {
  table_reader t = r.table(root, "top level:");
  r.out.log = t.text("log", r.out.log);
  if (auto ok = read_cluster(r, t.table("cluster")); !ok) return ok;
  if (auto ok = read_models(r, t.table("models")); !ok) return ok;
  if (const toml::table* table = t.table("payments")) {
    auto payments = read_payments(*table, r.file, r.folder);
    if (!payments) return fail(payments.error());
    r.out.payments = std::move(*payments);
  }
  const std::pair<const char*, reader_of> roles[] = {
      {"gateway", read_gateway}, {"orchestrator", read_orchestrator}, {"worker", read_worker}};
  for (const auto& [key, read] : roles) {
    for (const toml::table* table : t.tables(key)) {
      if (auto ok = read(r, *table); !ok) return ok;
    }
  }
  const char* const levels[] = {"debug", "info", "warn", "error", "off"};
  if (std::find(std::begin(levels), std::end(levels), r.out.log) == std::end(levels)) {
    t.mistake("log", "expected debug, info, warn, error or off");
  }
  if (auto ok = t.finish(); !ok) return ok;
  if (auto ok = check_references(r); !ok) return ok;
  warn_of_prices(r.out);
  return {};
}

}  // namespace

std::string address::text() const {
  const bool bare = host.find(':') == std::string::npos;
  return bare ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

bool address::loopback() const {
  return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0;
}

result<address> parse_address(const std::string& text) {
  const auto colon = text.rfind(':');
  address a;
  if (colon != std::string::npos && colon > 0) {
    a.host = text.substr(0, colon);
    if (a.host.front() == '[' && a.host.back() == ']') a.host = a.host.substr(1, a.host.size() - 2);
    const char* end = text.data() + text.size();
    const auto [stop, bad] = std::from_chars(text.data() + colon + 1, end, a.port);
    if (bad == std::errc{} && stop == end && colon + 1 < text.size()) return a;
  }
  return fail(ec::bad_config,
              fmt::format("expected \"host:port\" such as \"127.0.0.1:9935\", not \"{}\"", text));
}

result<address> resolve_orchestrator(const config& c, const std::string& entry) {
  for (const orchestrator_config& o : c.orchestrators) {
    if (o.name == entry) return o.listen;
  }
  if (entry.find(':') != std::string::npos) {
    auto a = parse_address(entry);
    if (!a || a->port != 0) return a;
    return fail(ec::bad_config, fmt::format("\"{}\": nobody can be reached at port 0", entry));
  }
  return fail(
      ec::bad_config,
      fmt::format("there is no orchestrator \"{}\" in this file, and it is no host:port", entry));
}

result<config> parse_config(const std::string& text, const std::string& source_name,
                            const std::filesystem::path& folder) {
  reading r;
  r.file = source_name;
  r.folder = folder;
  try {
    const toml::table root = toml::parse(text, source_name);
    if (auto ok = read_all(r, root); !ok) return fail(ok.error());
  } catch (const toml::parse_error& e) {
    return fail(ec::bad_config,
                fmt::format("{}:{}: {}", source_name, e.source().begin.line, e.description()));
  }
  return std::move(r.out);
}

result<config> load_config(const std::filesystem::path& file) {
  std::error_code bad;
  std::ifstream in;
  if (!std::filesystem::is_directory(file, bad)) in.open(file, std::ios::binary);
  const bool opened = in.is_open();
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!opened || in.bad()) {
    return fail(ec::bad_config, fmt::format("cannot read the configuration {}", file.string()));
  }
  return parse_config(text, file.string(), file.parent_path());
}

}  // namespace lp::runtime
