// SPDX-License-Identifier: MIT
#include "net/http_errors.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "runtime/base/log.hpp"
#include "runtime/base/redact.hpp"

namespace lp::net {

namespace {

namespace json = boost::json;

// Messages may quote what a client sent; the answer must stay UTF-8 all the same.
std::string clean(std::string_view text) {
  std::string out(text);
  if (is_utf8(out)) return out;
  for (char& c : out) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return out;
}

std::string validation_body(const error& e) {
  json::array detail;
  for (const field_error& f : e.fields) {
    json::array loc;
    for (const std::string& step : f.loc) loc.emplace_back(clean(step));
    detail.emplace_back(
        json::object{{"loc", std::move(loc)}, {"msg", clean(f.msg)}, {"type", clean(f.type)}});
  }
  if (detail.empty()) {
    detail.emplace_back(json::object{
        {"loc", json::array{"body"}}, {"msg", clean(e.message)}, {"type", "value_error"}});
  }
  return json::serialize(json::object{{"detail", std::move(detail)}});
}

}  // namespace

response error_response(const error& e) {
  const unsigned status = http_status(e.code);
  if (e.code == ec::invalid_parameters) return json_response(status, validation_body(e));
  // What went wrong here may name files; what a client did wrong quotes the client.
  std::string told = status >= 500 ? without_paths(std::string_view(e.message)) : e.message;
  if (told != e.message) log::warn("http", "{}", render(e));
  response out = error_response(status, told.empty() ? to_string(e.code) : std::string_view(told));
  if (e.code == ec::unauthorized) out.headers.push_back({"WWW-Authenticate", "Bearer"});
  if (worth_another_node(e.code) && status == 503) out.headers.push_back({"Retry-After", "1"});
  return out;
}

response error_response(unsigned status, std::string_view message) {
  const json::object body{{"detail", json::object{{"msg", clean(message)}}}};
  return json_response(status, json::serialize(body));
}

std::string_view reason_phrase(unsigned status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

}  // namespace lp::net
