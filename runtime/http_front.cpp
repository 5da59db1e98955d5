// SPDX-License-Identifier: MIT
#include "runtime/http_front.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <sys/resource.h>

#include <fmt/core.h>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/serialize.hpp>

#include "actors/terms.hpp"
#include "net/content_type.hpp"
#include "net/http_errors.hpp"
#include "pipelines/openapi.hpp"
#include "runtime/answers.hpp"
#include "runtime/base/bytes.hpp"
#include "runtime/base/log.hpp"
#include "runtime/node.hpp"
#include "runtime/quotes.hpp"
#include "runtime/request_body.hpp"

namespace lp::runtime {

namespace json = boost::json;

namespace {

// The gateway answers by the job's deadline; the server's own limit only guards against a defect.
constexpr milliseconds answer_margin{5000};
// An orchestrator that does not state its terms by then is left out of the quotes.
constexpr milliseconds quote_time{5000};
// Of the stack, for the parts of an answer.
constexpr std::size_t answer_room = 4096;

net::http_options server_options(const gateway_config& g) {
  net::http_options o;
  o.address = g.http.host == "localhost" ? "127.0.0.1" : g.http.host;
  o.port = g.http.port;
  o.body_limit = g.max_body;
  o.bodies_limit = g.bodies;
  o.max_connections = g.max_connections;
  o.max_connections_per_address = g.max_connections_per_address;
  o.idle_timeout = g.idle_timeout;
  o.body_timeout = g.body_timeout;
  o.cors_origins = g.cors_origins;
  o.answer_timeout = g.job_timeout + answer_margin;
  return o;
}

// Each connection is a descriptor; some more are for peers, models and files.
void warn_of_descriptors(const gateway_config& g) {
  constexpr rlim_t others = 128;
  rlimit has{};
  if (::getrlimit(RLIMIT_NOFILE, &has) != 0 || has.rlim_cur >= g.max_connections + others) return;
  log::warn("http",
            "gateway {}: this process may have {} files open, which is less than max_connections, "
            "{}, needs: raise the limit (ulimit -n, LimitNOFILE) or lower the setting",
            g.name, has.rlim_cur, g.max_connections);
}

// "true" for text compared in a time that does not tell how much of it was right.
bool same_secret(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char differ = 0;
  for (std::size_t i = 0; i < a.size(); ++i) differ |= static_cast<unsigned char>(a[i] ^ b[i]);
  return differ == 0;
}

// A client asks for data URLs with ?media=data.
result<media_delivery> delivery_of(const net::request& r) {
  media_delivery out{net::origin_of(r), false};
  const auto it = r.query.find("media");
  if (it == r.query.end() || it->second == "url") return out;
  if (it->second != "data") {
    return fail({ec::invalid_parameters,
                 "media",
                 {{{"query", "media"}, "Input should be 'url' or 'data'", "enum"}}});
  }
  out.inline_data = true;
  return out;
}

}  // namespace

result<std::unique_ptr<http_front>> http_front::start(const gateway_config& g,
                                                      actors::gateway_actor gateway,
                                                      net::event_loop& loop) {
  std::unique_ptr<http_front> front(new http_front(g, std::move(gateway)));
  front->add_routes();
  net::http_options options = server_options(g);
  options.check_head = [f = front.get()](const net::request& head) { return f->check_head(head); };
  warn_of_descriptors(g);
  auto server = net::http_server::start(
      options,
      [f = front.get()](net::request&& r, net::responder reply) {
        f->router_(std::move(r), std::move(reply));
      },
      &loop);
  if (!server) return fail(server.error());
  front->server_ = std::move(*server);
  return front;
}

http_front::http_front(const gateway_config& g, actors::gateway_actor gateway)
    : config_(g), gateway_(std::move(gateway)) {
  net::media_store::limits limits;
  limits.bytes = g.media_bytes;
  limits.keep = g.media_life;
  media_ = std::make_shared<net::media_store>(limits);
}

void http_front::add_routes() {
  for (const pipelines::description& d : pipelines::all()) {
    router_.add("POST", "/" + d.name, [this, &d](net::request&& r, net::responder reply) {
      run_pipeline(d, std::move(r), std::move(reply));
    });
  }
  router_.add("POST", "/quote", [this](net::request&& r, net::responder reply) {
    quote(std::move(r), std::move(reply));
  });
  router_.add("GET", "/health",
              [this](net::request&&, net::responder reply) { health(std::move(reply)); });
  router_.add("GET", "/version", [](net::request&&, net::responder reply) {
    const json::object v{{"pipeline", ""}, {"model_id", ""}, {"version", version()}};
    reply.send(net::json_response(200, json::serialize(v)));
  });
  router_.add(
      "GET", "/openapi.json",
      [text = json::serialize(pipelines::openapi(pipelines::all(), version()))](
          net::request&&, net::responder reply) { reply.send(net::json_response(200, text)); });
  router_.add_prefix("GET", "/media/", [this](net::request&& r, net::responder reply) {
    reply.send(net::media_response(*media_, r, clock::now()));
  });
}

std::optional<net::response> http_front::check_head(const net::request& head) const {
  auto answer = router_.check(head);
  if (!answer && head.method == "POST" && !authorised(head)) {
    answer = net::error_response({ec::unauthorized, "Invalid bearer token.", {}});
  }
  return answer;
}

// The scheme's name is of any case (RFC 9110, 11.1). Two headers could mean two things to a proxy
// and to us: then neither counts.
bool http_front::authorised(const net::request& r) const {
  if (config_.tokens.empty()) return true;
  constexpr std::string_view scheme = "bearer ";
  constexpr std::string_view name = "authorization";
  const auto headers = std::count_if(r.headers.begin(), r.headers.end(), [&](const net::header& h) {
    return net::lower_case(h.name) == name;
  });
  std::string_view given = r.header_value(name);
  if (headers != 1 || net::lower_case(given.substr(0, scheme.size())) != scheme) return false;
  given = net::trim_blanks(given.substr(scheme.size()));
  return std::any_of(config_.tokens.begin(), config_.tokens.end(),
                     [&](const std::string& token) { return same_secret(given, token); });
}

void http_front::run_pipeline(const pipelines::description& d, net::request&& r,
                              net::responder reply) {
  const auto refuse = [&](const error& e) { reply.send(net::error_response(e)); };
  const auto delivery = delivery_of(r);
  if (!delivery) return refuse(delivery.error());
  const auto query = r.query;
  auto given = read_body(d, std::move(r));
  if (!given) return refuse(given.error());
  auto params = check(d, *given);
  if (!params) return refuse(params.error());
  const auto max_prices = max_prices_of(query, given->params);
  if (!max_prices) return refuse(max_prices.error());

  auto job = std::make_shared<actors::submission>();
  job->max_prices = *max_prices;
  job->files = std::move(given->files);
  wire::JobRequest& request = job->request;
  request.set_id(random_hex(8));
  request.set_pipeline(d.name);
  if (const auto it = params->find("model_id"); it != params->end() && it->value().is_string()) {
    request.set_model(std::string(it->value().as_string()));
  }
  request.set_params_json(json::serialize(*params));
  job->deadline = clock::now() + config_.job_timeout;
  job->done = [reply, &d, delivery = *delivery, media = media_](result<wire::JobResult> outcome) {
    if (!outcome) {
      reply.send(net::error_response(outcome.error()));
      return;
    }
    // Most answers fit in here; all that is made of them goes at once.
    std::array<unsigned char, answer_room> room;
    json::monotonic_resource storage(room.data(), room.size());
    const auto answer = make_answer(d, std::move(*outcome), delivery, *media, &storage);
    reply.send(answer ? net::json_response(200, json::serialize(*answer))
                      : net::error_response(answer.error()));
  };
  reply.on_disconnect([gateway = gateway_, id = request.id()] {
    actors::post(gateway, actors::cancel_atom_v, id);
  });
  actors::post(gateway_, actors::submit_atom_v, std::move(job));
}

void http_front::quote(net::request&& r, net::responder reply) {
  const auto refuse = [&](const error& e) { reply.send(net::error_response(e)); };
  const auto asked = read_quote_request(std::move(r));
  if (!asked) return refuse(asked.error());
  const pipelines::description& d = *asked->pipeline;
  const json::object& params = asked->params;
  auto query = std::make_shared<actors::quote_query>();
  query->request.set_pipeline(d.name);
  if (const auto it = params.find("model_id"); it != params.end() && it->value().is_string()) {
    query->request.set_model(std::string(it->value().as_string()));
  }
  query->request.set_params_json(json::serialize(params));
  query->units = actors::whole_units(d.units(params));
  query->deadline = clock::now() + quote_time;
  query->done = [reply, name = d.name](const result<std::vector<actors::quote>>& quotes) {
    reply.send(quotes ? net::json_response(200, json::serialize(make_quotes(name, *quotes)))
                      : net::error_response(quotes.error()));
  };
  actors::post(gateway_, actors::quote_atom_v, std::move(query));
}

void http_front::health(net::responder reply) {
  auto query = std::make_shared<actors::view_query>();
  query->done = [reply](const actors::gateway_view& view) {
    reply.send(net::json_response(200, json::serialize(make_health(view))));
  };
  actors::post(gateway_, actors::view_atom_v, std::move(query));
}

}  // namespace lp::runtime
