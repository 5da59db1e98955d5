// SPDX-License-Identifier: MIT
// Which pages of other origins may use the server (CORS, https://fetch.spec.whatwg.org).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_message.hpp"
#include "runtime/base/error.hpp"

namespace lp::net {

/// "https://app.example", "http://localhost:3000", "null" (pages of files) or "*" (all), in lower
/// case as browsers send it; ec::bad_config, saying what was expected, for anything else.
result<std::string> parse_origin(std::string_view text);

/// Credentials that browsers send by themselves, such as cookies, are never asked for.
class cors_policy {
 public:
  /// As parse_origin() gives them. None: the server says nothing of origins, so that browsers keep
  /// pages of others away.
  explicit cors_policy(std::vector<std::string> origins);

  bool enabled() const { return any_ || !origins_.empty(); }
  bool allows(std::string_view origin) const;

  /// The answer to a browser that asks whether a page may send a request, whatever its path and
  /// without a token; 403 for other origins. Nothing for all other requests.
  std::optional<response> preflight(const request& head) const;

  /// Lets pages of `origin`, which may be empty, read the answer.
  void add_to(response& r, std::string_view origin) const;

 private:
  std::vector<std::string> origins_;
  bool any_ = false;
};

}  // namespace lp::net
