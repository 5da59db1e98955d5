// SPDX-License-Identifier: MIT
#include "runtime/quotes.hpp"

#include <fmt/core.h>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "pipelines/description.hpp"

namespace lp::runtime {

namespace json = boost::json;

namespace {

tl::unexpected<error> wrong(const char* where, const char* field, const std::string& msg) {
  return fail({ec::invalid_parameters, field, {{{where, field}, msg, "value_error"}}});
}

result<std::optional<payments::money>> read(const std::string& text, const char* where) {
  const auto money = payments::parse_money(text);
  if (!money) return wrong(where, "max_price", money.error().message);
  return *money;
}

// Whole wei. The exact amounts are fractions of a hundred digits, which are no use to a reader:
// what is asked for is rounded up, what is there or comes in is rounded down.
std::string wei_asked(const payments::rational& amount) {
  const auto over = numerator(amount) + denominator(amount) - 1;
  return boost::multiprecision::cpp_int(over / denominator(amount)).str();
}

std::string wei(const payments::rational& amount) {
  return boost::multiprecision::cpp_int(numerator(amount) / denominator(amount)).str();
}

json::object to_json(const actors::quote& q) {
  json::object out{{"orchestrator", q.node}, {"model", q.model}, {"warm", q.warm}};
  if (q.problem.code != ec::none) {
    out["error"] = render(q.problem);
    return out;
  }
  out["address"] = q.address;
  out["price_per_unit"] = payments::to_text(q.price);
  out["units"] = q.units;
  out["price"] = wei_asked(q.fee);
  out["credit"] = wei(q.credit);
  out["tickets"] = q.tickets;
  out["ticket_value"] = wei(q.ticket_ev);
  out["expected_value"] = wei(q.ticket_ev * q.tickets);
  out["expires_ms"] = q.expires_ms;
  return out;
}

}  // namespace

result<std::optional<payments::money>> max_price_of(const query_values& query,
                                                    const json::value& body) {
  if (const auto it = query.find("max_price"); it != query.end()) {
    return read(it->second, "query");
  }
  const json::object* object = body.if_object();
  const json::value* member = object == nullptr ? nullptr : object->if_contains("max_price");
  if (member == nullptr || member->is_null()) return std::optional<payments::money>{};
  if (member->is_string()) return read(std::string(member->as_string()), "body");
  if (member->is_number()) {
    // The shortest digits that mean this double are those that were written.
    const json::value& n = *member;
    if (n.is_double()) return read(fmt::format("{}", n.as_double()), "body");
    return read(json::serialize(n), "body");
  }
  return wrong("body", "max_price", "Input should be a number of wei or a text such as \"1 gwei\"");
}

result<quote_request> read_quote_request(const json::value& body) {
  const json::object* object = body.if_object();
  if (object == nullptr) return wrong("body", "pipeline", "Input should be an object");
  const json::value* pipeline = object->if_contains("pipeline");
  if (pipeline == nullptr || !pipeline->is_string()) {
    return wrong("body", "pipeline", "Field required: the name of a pipeline");
  }
  quote_request out;
  out.pipeline = std::string(pipeline->as_string());
  if (pipelines::find(out.pipeline) == nullptr) {
    return wrong("body", "pipeline", fmt::format("There is no pipeline {}", out.pipeline));
  }
  const json::value* request = object->if_contains("request");
  out.request = request == nullptr ? json::value(json::object{}) : *request;
  return out;
}

json::object make_quotes(const std::string& pipeline, const std::vector<actors::quote>& quotes) {
  json::array all;
  for (const actors::quote& q : quotes) all.push_back(to_json(q));
  const pipelines::description* d = pipelines::find(pipeline);
  return {{"pipeline", pipeline},
          {"unit", d == nullptr ? std::string() : d->unit},
          {"currency", "wei"},
          {"quotes", std::move(all)}};
}

}  // namespace lp::runtime
