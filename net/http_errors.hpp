// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "net/http_message.hpp"
#include "runtime/base/error.hpp"

namespace lp::net {

/// The answer that tells a client about `e`: {"detail":{"msg":"..."}}, or for
/// ec::invalid_parameters {"detail":[{"loc":["body","width"],"msg":"...","type":"..."}]}. The
/// status is http_status(e.code). 401 carries WWW-Authenticate, 503 Retry-After where another try
/// soon makes sense.
response error_response(const error& e);

/// The same form for a status that no `ec` stands for, such as 408 or 431.
response error_response(unsigned status, std::string_view message);

/// "Not Found"; "Unknown" for numbers without a name.
std::string_view reason_phrase(unsigned status);

}  // namespace lp::net
