// SPDX-License-Identifier: MIT
#include "tools/lp-job/submit.hpp"

#include <charconv>
#include <thread>

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "net/http_client.hpp"
#include "net/multipart.hpp"

namespace lp::job {

namespace json = boost::json;

namespace {

constexpr std::string_view scheme = "http://";

ec code_of(unsigned status) {
  switch (status) {
    case 400:
    case 422:
      return ec::bad_request;
    case 401:
      return ec::unauthorized;
    case 404:
      return ec::not_found;
    case 503:
      return ec::unavailable;
    default:
      return ec::internal;
  }
}

// Content type and body.
std::pair<std::string, std::string> encoded(const pipelines::description& d, const job_body& job) {
  if (d.body != pipelines::encoding::multipart && job.files.empty()) {
    return {"application/json", json::serialize(job.params)};
  }
  net::form_writer form;
  for (const auto& member : job.params) {
    const json::string* text = member.value().if_string();
    form.add(member.key(), text != nullptr ? std::string(*text) : json::serialize(member.value()));
  }
  for (const job_file& f : job.files) {
    form.add_file(f.field, f.name, "application/octet-stream", f.bytes);
  }
  std::string type = form.content_type();
  return {std::move(type), std::move(form).finish()};
}

}  // namespace

std::string gateway_address::origin() const {
  if (host.find(':') == std::string::npos) return fmt::format("http://{}:{}", host, port);
  return fmt::format("http://[{}]:{}", host, port);  // an IPv6 address
}

result<gateway_address> parse_url(const std::string& url) {
  const auto wrong = fail(
      ec::bad_config, fmt::format("url \"{}\": expected http://HOST:PORT, maybe with a path", url));
  if (!url.starts_with(scheme)) return wrong;
  std::string_view rest = std::string_view(url).substr(scheme.size());
  const auto slash = rest.find('/');
  gateway_address out;
  if (slash != std::string_view::npos) out.path = rest.substr(slash);
  while (out.path.ends_with('/')) out.path.pop_back();
  rest = rest.substr(0, slash);
  out.port = 80;
  const auto colon = rest.rfind(':');
  const auto bracket = rest.rfind(']');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    const std::string_view number = rest.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), out.port);
    if (error != std::errc{} || end != number.data() + number.size() || out.port == 0) return wrong;
    rest = rest.substr(0, colon);
  }
  if (rest.size() > 2 && rest.front() == '[' && rest.back() == ']') {
    rest = rest.substr(1, rest.size() - 2);
  }
  if (rest.empty() || rest.find_first_of("[]@? \t") != std::string_view::npos) return wrong;
  out.host = rest;
  return out;
}

result<json::value> submit(const gateway_address& gateway, const pipelines::description& d,
                           const job_body& job, const std::string& token, time_point deadline) {
  auto connection = net::http_client::connect(gateway.host, gateway.port, deadline);
  if (!connection) return fail(connection.error());
  const auto [type, body_text] = encoded(d, job);
  std::vector<net::header> headers{{"Content-Type", type}, {"Accept", "application/json"}};
  if (!token.empty()) headers.push_back({"Authorization", "Bearer " + token});
  const auto reply =
      connection->send("POST", gateway.path + "/" + d.name, body_text, headers, deadline);
  if (!reply) return fail(reply.error());
  if (reply->status != 200) {
    return fail(code_of(reply->status), error_text(reply->status, reply->body));
  }
  boost::system::error_code error;
  json::value body = json::parse(reply->body, error);
  if (error) return fail(ec::bad_request, "the answer is not JSON: " + error.message());
  return body;
}

result<json::value> health(const gateway_address& gateway, time_point until) {
  constexpr milliseconds pause{100};
  constexpr seconds patience{5};
  const std::string url = gateway.origin() + gateway.path + "/health";
  for (;;) {
    const auto reply = net::http_get(url, clock::now() + patience);
    std::string reason = reply ? error_text(reply->status, reply->body) : reply.error().message;
    if (reply && reply->status == 200) {
      boost::system::error_code error;
      json::value body = json::parse(reply->body, error);
      const json::value* status = error ? nullptr : body.find_pointer("/status", error);
      if (status != nullptr && *status == "OK") return body;
    }
    if (clock::now() + pause >= until) {
      return fail(ec::unavailable, fmt::format("{}: not ready: {}", url, reason));
    }
    std::this_thread::sleep_for(pause);
  }
}

result<std::string> fetch(const gateway_address& gateway, const std::string& url,
                          time_point deadline) {
  if (url.starts_with("data:")) return data_url_bytes(url);
  const bool relative = url.starts_with('/');
  auto reply = net::http_get(relative ? gateway.origin() + url : url, deadline);
  if (!reply) return fail(reply.error());
  if (reply->status != 200) {
    return fail(code_of(reply->status),
                fmt::format("{}: {}", url, error_text(reply->status, reply->body)));
  }
  return std::move(reply->body);
}

}  // namespace lp::job
