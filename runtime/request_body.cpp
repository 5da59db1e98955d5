// SPDX-License-Identifier: MIT
#include "runtime/request_body.hpp"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "net/json_body.hpp"
#include "net/multipart.hpp"
#include "runtime/base/byte_order_mark.hpp"

namespace lp::runtime {

namespace {

using pipelines::encoding;
using pipelines::parameter;

result<request_body> read_form(const pipelines::description& d, net::request&& r) {
  const auto parts = net::parse_form_body(r);
  if (!parts) return fail(parts.error());
  const shared_bytes body = net::take_body(std::move(r));
  request_body out;
  std::string_view max_price;
  std::vector<std::pair<std::string, std::string_view>> fields;
  for (const net::form_part& part : *parts) {
    const parameter* p = d.find(part.name);
    // Of the job, whatever the pipeline.
    if (p == nullptr && part.name == "max_price") {
      if (!max_price.empty()) {
        return fail(ec::bad_request, "the form: \"max_price\" was sent twice");
      }
      max_price = without_mark(part.content(*body));
    }
    if (p == nullptr) continue;
    if (p->type != parameter::kind::file) {
      fields.emplace_back(part.name, without_mark(part.content(*body)));
      continue;
    }
    // Pages send an empty part without a file's name where none was chosen, and scripts a plain
    // field; an empty file that has a name is a mistake of its own.
    if (part.filename.empty() && part.size == 0) continue;
    const bool again = std::any_of(out.files.begin(), out.files.end(),
                                   [&](const auto& f) { return f.field == part.name; });
    if (again) {
      return fail(ec::bad_request, fmt::format("the form: \"{}\" was sent twice", part.name));
    }
    out.files.push_back({part.name, part.mime, body, part.offset, part.size});
  }
  boost::json::object params = pipelines::form_values(d, fields);
  if (!max_price.empty()) params["max_price"] = std::string(max_price);
  out.params = std::move(params);
  return out;
}

}  // namespace

bool is_form(const net::request& r) {
  constexpr std::string_view type = "multipart/";
  std::string start(r.header_value("Content-Type").substr(0, type.size()));
  std::transform(start.begin(), start.end(), start.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return start == type;
}

result<request_body> read_body(const pipelines::description& d, net::request&& r) {
  const bool form = d.body == encoding::either ? is_form(r) : d.body == encoding::multipart;
  if (form) return read_form(d, std::move(r));
  auto params = net::parse_json_body(r);
  if (!params) return fail(std::move(params.error()));
  return request_body{std::move(*params), {}};
}

result<boost::json::object> check(const pipelines::description& d, const request_body& body) {
  std::vector<pipelines::given_file> files;
  for (const actors::input_file& f : body.files) files.push_back({f.field, f.bytes()});
  return pipelines::validate(d, body.params, files);
}

}  // namespace lp::runtime
