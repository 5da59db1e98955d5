// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "net/http_client.hpp"
#include "payments/chain/json_rpc.hpp"
#include "payments/chain/transport.hpp"

namespace lp::runtime {

/// Ethereum nodes over HTTP and HTTPS. Connections are kept and used again. Safe from any thread.
class http_transport : public payments::transport {
 public:
  explicit http_transport(net::tls_options tls = {}) : tls_(std::move(tls)) {}

  result<answer> post(const std::string& url, const std::string& body,
                      time_point deadline) override;

 private:
  std::unique_ptr<net::http_client> take(const std::string& url);
  void put_back(const std::string& url, std::unique_ptr<net::http_client> client);

  net::tls_options tls_;
  std::mutex mutex_;
  std::map<std::string, std::vector<std::unique_ptr<net::http_client>>> idle_;
};

/// A client of the nodes at these URLs, the preferred one first.
std::shared_ptr<payments::json_rpc> connect_rpc(payments::rpc_options options,
                                                net::tls_options tls = {});

}  // namespace lp::runtime
