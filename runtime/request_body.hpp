// SPDX-License-Identifier: MIT
// From a request's body, JSON or a form, to what the pipelines check.
#pragma once

#include <vector>

#include <boost/json/value.hpp>

#include "actors/protocol.hpp"
#include "net/http_message.hpp"
#include "pipelines/description.hpp"

namespace lp::runtime {

struct request_body {
  boost::json::value params;
  std::vector<actors::input_file> files;  ///< spans of the body, which they keep alive
};

/// Whether the body is a form, by its type.
bool is_form(const net::request& r);

/// Reads a body of the kind that the pipeline takes. Of a form's parts those count that the
/// pipeline has parameters for, and `max_price`; one file a parameter. ec::unsupported_media for
/// another kind of body, ec::bad_request for a malformed one.
result<request_body> read_body(const pipelines::description& d, net::request&& r);

/// pipelines::validate() of all of it.
result<boost::json::object> check(const pipelines::description& d, const request_body& body);

}  // namespace lp::runtime
