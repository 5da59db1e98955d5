// SPDX-License-Identifier: MIT
// The HTTP face of a gateway: requests become jobs, results become answers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "actors/protocol.hpp"
#include "net/event_loop.hpp"
#include "net/http_server.hpp"
#include "net/media_store.hpp"
#include "net/router.hpp"
#include "pipelines/description.hpp"
#include "runtime/config.hpp"

namespace lp::runtime {

class http_front {
 public:
  /// Serves `gateway` at the configured address until stop().
  /// It runs on `loop`, the gateway's own, so that a request costs no change of thread.
  static result<std::unique_ptr<http_front>> start(const gateway_config& g,
                                                   actors::gateway_actor gateway,
                                                   net::event_loop& loop);

  std::uint16_t port() const { return server_->port(); }
  net::http_server& server() { return *server_; }

 private:
  http_front(const gateway_config& g, actors::gateway_actor gateway);

  void add_routes();
  void run_pipeline(const pipelines::description& d, net::request&& r, net::responder reply);
  void quote(net::request&& r, net::responder reply);
  void health(net::responder reply);
  /// Decides from the head alone what it can: routes and tokens come before a body is read.
  std::optional<net::response> check_head(const net::request& head) const;
  bool authorised(const net::request& r) const;

  gateway_config config_;
  actors::gateway_actor gateway_;
  std::shared_ptr<net::media_store> media_;
  net::router router_;
  std::unique_ptr<net::http_server> server_;  ///< last: it stops before what its handlers use
};

}  // namespace lp::runtime
