// SPDX-License-Identifier: MIT
// The one configuration file of a cluster. examples/local.toml documents every key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "pipelines/catalogue.hpp"
#include "pipelines/device.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"
#include "runtime/payments_config.hpp"

namespace lp::runtime {

/// "127.0.0.1:9935"
struct address {
  std::string host;
  std::uint16_t port = 0;  ///< 0: any free port

  std::string text() const;
  bool loopback() const;
};

/// Mutual TLS between the nodes; needed as soon as one listens beyond this host.
struct tls_config {
  std::filesystem::path certificate;
  std::filesystem::path key;
  std::filesystem::path authority;  ///< the one CA that signed every node's certificate
  key_places at;

  bool enabled() const { return !certificate.empty(); }
};

struct gateway_config {
  std::string name;
  address http;
  /// Names of this file, "host:port", or Ethereum addresses, which are looked up on the chain.
  std::vector<std::string> orchestrators;
  std::vector<std::string> tokens;  ///< accepted bearer tokens; empty: everybody
  milliseconds job_timeout{300'000};
  std::uint64_t max_jobs = 256;
  std::uint64_t max_body = 16ULL << 20;
  std::uint64_t bodies = 256ULL << 20;  ///< bytes of all requests under way together
  std::uint64_t max_connections = 1024;
  std::uint64_t max_connections_per_address = 512;  ///< 0: no such limit
  milliseconds idle_timeout{60'000};                ///< of a connection without a request
  milliseconds body_timeout{60'000};                ///< for the body of one request
  std::vector<std::string> cors_origins;            ///< whose pages may use it; "*": all
  std::uint64_t media_bytes = 512ULL << 20;
  milliseconds media_life{3'600'000};
  std::vector<payments::price_rule> max_prices;  ///< the most it pays; no rule: any price
  key_places at;
};

struct orchestrator_config {
  std::string name;
  address listen;
  std::uint64_t queue = 64;
  std::vector<payments::price_rule> prices;  ///< free unless set
  key_places at;
};

struct worker_config {
  std::string name;
  std::string orchestrator;  ///< a name of this file, or "host:port"
  pipelines::device device;
  std::vector<std::string> models;    ///< ids offered; empty: all that are found
  std::vector<std::string> warm;      ///< loaded at start
  std::uint64_t slots = 8;            ///< jobs under way at most; memory decides before
  std::uint64_t memory = 8ULL << 30;  ///< bytes for warm models
  std::uint64_t memory_limit = 0;     ///< for models and jobs together; 0: what the device has
  bool low_memory = false;            ///< parts of models leave memory between their uses
  std::filesystem::path safety;       ///< a safety checker's folder or library; empty: none
  key_places at;
};

struct config {
  std::string cluster = "local";
  std::string log = "info";
  milliseconds drain_timeout{20'000};
  tls_config tls;
  payments_config payments;
  key_places models_at;  ///< [models]
  std::filesystem::path models_dir;
  std::vector<std::string> hub_models;                ///< ids; pulled when they are first used
  std::map<std::string, std::string> default_models;  ///< pipeline -> model id
  std::vector<gateway_config> gateways;
  std::vector<orchestrator_config> orchestrators;
  std::vector<worker_config> workers;

  /// What models_dir holds and the built-in pipelines.
  std::vector<pipelines::catalogue_entry> catalogue;

  /// What is allowed and most likely not meant: "FILE:LINE: key: why".
  std::vector<std::string> warnings;
};

/// Reads and checks a configuration. Relative paths are relative to the file's folder (`folder`
/// for text). Every mistake is ec::bad_config: "FILE:LINE: key: what was expected".
result<config> load_config(const std::filesystem::path& file);
result<config> parse_config(const std::string& text, const std::string& source_name,
                            const std::filesystem::path& folder);

/// The effective configuration as TOML, every default spelt out.
std::string to_toml(const config& c);

/// "host:port"; ec::bad_config otherwise. An IPv6 host stands in brackets.
result<address> parse_address(const std::string& text);

/// The address behind an entry of `orchestrators` or `orchestrator`: that of the node of that name,
/// or the entry itself read as host:port.
result<address> resolve_orchestrator(const config& c, const std::string& entry);

}  // namespace lp::runtime
