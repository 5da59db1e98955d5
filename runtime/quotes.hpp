// SPDX-License-Identifier: MIT
// What clients say and hear about money.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "actors/payment_messages.hpp"
#include "net/http_message.hpp"
#include "pipelines/description.hpp"

namespace lp::runtime {

using query_values = std::map<std::string, std::string, std::less<>>;

/// The most that a job may cost, where the client set a limit: `max_price` in the query and in the
/// body, JSON or a form, as wei or "0.02 usd". Where both are there, both count, so that the
/// smaller one does. ec::invalid_parameters names it.
result<std::vector<payments::money>> max_prices_of(const query_values& query,
                                                   const boost::json::value& body);

/// What POST /quote is asked about, checked: {"pipeline": NAME, "request": {...}}, where pictures
/// are {"width": W, "height": H}; or the pipeline's form with a field "pipeline".
struct quote_request {
  const pipelines::description* pipeline = nullptr;
  boost::json::object params;
};
/// ec::invalid_parameters as the pipeline's own route; otherwise as read_body().
result<quote_request> read_quote_request(net::request&& r);

/// The answer to POST /quote.
boost::json::object make_quotes(const std::string& pipeline,
                                const std::vector<actors::quote>& quotes);

}  // namespace lp::runtime
