// SPDX-License-Identifier: MIT
// How requests reach an Ethereum node. HTTP is somebody else's: see runtime/chain/http_transport.
#pragma once

#include <string>

#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::payments {

class transport {
 public:
  struct answer {
    unsigned status = 0;  ///< of HTTP
    std::string body;
  };

  virtual ~transport() = default;

  /// Posts JSON to `url` and waits for the answer. ec::unavailable or ec::deadline_exceeded if
  /// there is none by `deadline`. Messages must not repeat the URL's path, which may hold an access
  /// key.
  virtual result<answer> post(const std::string& url, const std::string& body,
                              time_point deadline) = 0;
};

}  // namespace lp::payments
