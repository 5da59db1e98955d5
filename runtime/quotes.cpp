// SPDX-License-Identifier: MIT
#include "runtime/quotes.hpp"

#include <fmt/core.h>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "net/json_body.hpp"
#include "net/multipart.hpp"
#include "runtime/request_body.hpp"

namespace lp::runtime {

namespace json = boost::json;

namespace {

tl::unexpected<error> wrong(const char* where, const char* field, const std::string& msg) {
  return fail({ec::invalid_parameters, field, {{{where, field}, msg, "value_error"}}});
}

result<payments::money> read(const std::string& text, const char* where) {
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
  if (q.expires_block > 0) out["expires_block"] = q.expires_block;
  if (q.next_price) out["next_price_per_unit"] = payments::to_text(*q.next_price);
  return out;
}

}  // namespace

namespace {

result<payments::money> read_member(const json::value& n) {
  if (n.is_string()) return read(std::string(n.as_string()), "body");
  // The shortest digits that mean this double are those that were written.
  if (n.is_double()) return read(fmt::format("{}", n.as_double()), "body");
  if (n.is_number()) return read(json::serialize(n), "body");
  return wrong("body", "max_price", "Input should be a number of wei or a text such as \"1 gwei\"");
}

}  // namespace

result<std::vector<payments::money>> max_prices_of(const query_values& query,
                                                   const json::value& body) {
  std::vector<payments::money> out;
  if (const auto it = query.find("max_price"); it != query.end()) {
    const auto limit = read(it->second, "query");
    if (!limit) return fail(limit.error());
    out.push_back(*limit);
  }
  const json::object* object = body.if_object();
  const json::value* member = object == nullptr ? nullptr : object->if_contains("max_price");
  if (member == nullptr || member->is_null()) return out;
  const auto limit = read_member(*member);
  if (!limit) return fail(limit.error());
  out.push_back(*limit);
  return out;
}

namespace {

result<const pipelines::description*> find_pipeline(const json::value* name) {
  if (name == nullptr || !name->is_string()) {
    return wrong("body", "pipeline", "Field required: the name of a pipeline");
  }
  const std::string text(name->as_string());
  const pipelines::description* d = pipelines::find(text);
  if (d == nullptr) return wrong("body", "pipeline", fmt::format("There is no pipeline {}", text));
  return d;
}

result<quote_request> read_form(net::request&& r) {
  const auto parts = net::parse_form_body(r);
  if (!parts) return fail(parts.error());
  json::value name;
  for (const net::form_part& p : *parts) {
    if (p.name == "pipeline") name = json::value(std::string(p.content(r.body)));
  }
  const auto d = find_pipeline(&name);
  if (!d) return fail(d.error());
  const auto body = read_body(**d, std::move(r));
  if (!body) return fail(body.error());
  auto params = check(**d, *body);
  if (!params) return fail(params.error());
  return quote_request{*d, std::move(*params)};
}

// How some clients write that there is no picture.
bool is_empty(const json::value& told) {
  return told.is_string() && told.get_string().empty();
}

// A side of a picture, 0 if it is none.
std::uint32_t side_of(const json::object& picture, const char* name) {
  const json::value* v = picture.if_contains(name);
  const std::int64_t* n = v == nullptr ? nullptr : v->if_int64();
  return n == nullptr || *n < 1 || *n > INT32_MAX ? 0 : static_cast<std::uint32_t>(*n);
}

}  // namespace

result<quote_request> read_quote_request(net::request&& r) {
  if (is_form(r)) return read_form(std::move(r));
  const auto body = net::parse_json_body(r);
  if (!body) return fail(body.error());
  const json::object* object = body->if_object();
  const auto d = find_pipeline(object == nullptr ? nullptr : object->if_contains("pipeline"));
  if (!d) return fail(d.error());
  const json::value* given = object->if_contains("request");
  json::value request = given == nullptr ? json::value(json::object{}) : *given;
  json::object* fields = request.if_object();
  for (const pipelines::parameter& p : (*d)->parameters) {
    if (p.type != pipelines::parameter::kind::file || fields == nullptr) continue;
    const json::value* told = fields->if_contains(p.name);
    if (told == nullptr || told->is_null() || !p.file.picture || is_empty(*told)) {
      fields->erase(p.name);
      continue;
    }
    const json::object* size = told->if_object();
    const std::uint32_t width = size == nullptr ? 0 : side_of(*size, "width");
    const std::uint32_t height = size == nullptr ? 0 : side_of(*size, "height");
    if (width == 0 || height == 0) {
      return wrong("body", p.name.c_str(),
                   "Input should be {\"width\": W, \"height\": H}, in pixels");
    }
    // Of a picture that is only told of, its price depends on the size alone.
    (*fields)[p.name] =
        json::object{{"format", "image/png"}, {"width", width}, {"height", height}, {"bytes", 1}};
  }
  auto params = pipelines::validate_without_files(**d, request);
  if (!params) return fail(params.error());
  return quote_request{*d, std::move(*params)};
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
