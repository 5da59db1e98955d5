// SPDX-License-Identifier: MIT
// One request to a hub: redirections, tokens, proxies, and what a status means. For hub_client
// alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
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

/// Asked while a request is under way; true ends it.
using hub_stopped = std::function<bool()>;

/// Requests over libcurl, which brings what habits expect: HTTPS_PROXY, NO_PROXY and their kin, and
/// the system's authorities. Keeps its connections from request to request. Not thread-safe.
class hub_connection {
 public:
  explicit hub_connection(const hub_options& options, hub_stopped stopped = {});

  /// Follows redirections. `range` is "bytes=0-99" or empty. Answers other than 200 and 206 are
  /// failures, and so are those longer than `most` bytes. The token goes to the endpoint's own
  /// host alone: redirections lead to stores that have their own keys in the address.
  attempt<http_reply> get(const url& where, const std::string& range, time_point deadline,
                          std::uint64_t most = most_bytes);

  /// The same without a body. Among the headers are those of redirections that begin with "X-": a
  /// hub describes there what the store does not know.
  attempt<http_reply> head(const url& where, time_point deadline);

  static constexpr std::uint64_t most_bytes = 256ULL << 20;

 private:
  struct exchange;
  struct closing {
    void operator()(void* handle) const;
  };

  attempt<http_reply> send(const url& where, exchange& e, time_point deadline);
  bool prepare(exchange& e, const std::string& address, time_point deadline);

  const hub_options& options_;
  hub_stopped stopped_;
  std::unique_ptr<void, closing> handle_;  ///< libcurl's, its CURL
};

/// The address of a path below the endpoint.
result<url> hub_url(const hub_options& options, const std::string& path);

/// Percent-encodes what may not stand in a path; slashes stay.
std::string encode_path(std::string_view path);

/// The same for one step of a path: slashes, too.
std::string encode_step(std::string_view step);

}  // namespace lp::net
