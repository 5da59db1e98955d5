// SPDX-License-Identifier: MIT
// One request to a hub: redirections, tokens, and what a status means. For hub_client alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "net/http_client.hpp"
#include "net/hub_client.hpp"
#include "net/url.hpp"

namespace lp::net {

/// What an attempt came to when it failed.
struct hub_failure {
  error why;
  bool again = false;     ///< another try may help
  milliseconds pause{0};  ///< that the hub asked for
};

template <class T>
using attempt = tl::expected<T, hub_failure>;

/// Keeps its connections from request to request. Not thread-safe.
class hub_connection {
 public:
  explicit hub_connection(const hub_options& options) : options_(options) {}

  /// Follows redirections. `range` is "bytes=0-99" or empty. Answers other than 200 and 206 are
  /// failures. The token goes to the endpoint's own host alone: redirections lead to stores that
  /// have their own keys in the address.
  attempt<http_reply> get(const url& where, const std::string& range, time_point deadline);

 private:
  attempt<http_client*> connect(const url& where, time_point deadline);

  const hub_options& options_;
  std::map<std::string, http_client> open_;  ///< by scheme, host and port
};

/// The address of a path below the endpoint.
result<url> hub_url(const hub_options& options, const std::string& path);

/// Percent-encodes what may not stand in a path; slashes stay.
std::string encode_path(std::string_view path);

}  // namespace lp::net
