// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include <boost/json/value.hpp>

#include "net/http_message.hpp"
#include "runtime/base/error.hpp"

namespace lp::net {

/// The request's body as JSON. ec::unsupported_media unless the content type is application/json
/// (parameters are ignored) or absent; ec::bad_request, naming the position, unless the body is
/// one JSON value in UTF-8, at most 32 levels deep. A byte-order mark before it is passed over.
result<boost::json::value> parse_json_body(const request& r);

/// The same for text alone.
result<boost::json::value> parse_json(std::string_view text);

}  // namespace lp::net
