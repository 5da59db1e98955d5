// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "runtime/base/error.hpp"

namespace lp::net {

/// "https://HOST:PORT/TARGET" in its parts.
struct url {
  bool tls = false;
  std::string host;  ///< without the brackets of an IPv6 address
  std::uint16_t port = 0;
  std::string target = "/";  ///< path and query
};

/// Takes http:// and https://, whose ports are 80 and 443 unless given. ec::bad_config for anything
/// else, for credentials before the host and for a fragment; the message does not repeat what comes
/// after the host, which may hold an access key.
result<url> parse_url(const std::string& text);

}  // namespace lp::net
