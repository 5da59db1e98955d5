// SPDX-License-Identifier: MIT
#include "runtime/chain/http_transport.hpp"

#include <fmt/core.h>

#include "net/url.hpp"

namespace lp::runtime {

namespace {

constexpr std::size_t most_idle = 4;  // for one URL

result<net::http_client> connect(const net::url& u, const net::tls_options& tls,
                                 time_point deadline) {
  if (u.tls) return net::http_client::connect_tls(u.host, u.port, tls, deadline);
  return net::http_client::connect(u.host, u.port, deadline);
}

bool stays_open(const net::http_reply& r) {
  const std::string* said = net::find_header(r.headers, "Connection");
  return !said || *said != "close";
}

}  // namespace

std::unique_ptr<net::http_client> http_transport::take(const std::string& url) {
  const std::lock_guard lock(mutex_);
  auto& idle = idle_[url];
  if (idle.empty()) return nullptr;
  auto out = std::move(idle.back());
  idle.pop_back();
  return out;
}

void http_transport::put_back(const std::string& url, std::unique_ptr<net::http_client> client) {
  const std::lock_guard lock(mutex_);
  auto& idle = idle_[url];
  if (idle.size() < most_idle) idle.push_back(std::move(client));
}

result<payments::transport::answer> http_transport::post(const std::string& url,
                                                         const std::string& body,
                                                         time_point deadline) {
  const auto where = net::parse_url(url);
  if (!where) return fail(where.error());
  auto client = take(url);
  if (client) {
    auto reply = client->post_json(where->target, body, deadline);
    if (reply) {
      if (stays_open(*reply)) put_back(url, std::move(client));
      return answer{reply->status, std::move(reply->body)};
    }
    // The server may have closed the connection while it lay idle; only a new one tells.
    if (reply.error().code != ec::unavailable) return fail(reply.error());
  }
  auto opened = connect(*where, tls_, deadline);
  if (!opened) return fail(opened.error());
  client = std::make_unique<net::http_client>(std::move(*opened));
  auto reply = client->post_json(where->target, body, deadline);
  if (!reply) {
    return fail(reply.error().code,
                fmt::format("{}:{}: {}", where->host, where->port, reply.error().message));
  }
  if (stays_open(*reply)) put_back(url, std::move(client));
  return answer{reply->status, std::move(reply->body)};
}

std::shared_ptr<payments::json_rpc> connect_rpc(payments::rpc_options options,
                                                net::tls_options tls) {
  return std::make_shared<payments::json_rpc>(std::make_shared<http_transport>(std::move(tls)),
                                              std::move(options));
}

}  // namespace lp::runtime
