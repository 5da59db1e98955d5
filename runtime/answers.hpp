// SPDX-License-Identifier: MIT
// From a job's result to the JSON that a client gets.
#pragma once

#include <string>

#include <boost/json/object.hpp>

#include "actors/protocol.hpp"
#include "net/media_store.hpp"
#include "pipelines/description.hpp"

namespace lp::runtime {

/// How the files of a result reach the client.
struct media_delivery {
  std::string origin;        ///< "http://host:port": URLs are absolute
  bool inline_data = false;  ///< data URLs instead
};

/// The answer in the reference's form for the pipeline, and a member "job" with what the reference
/// does not tell: id, model, route, stages, units, notes. Files move into `store` (or the answer).
/// `storage` is where the answer lies; it must outlive it.
result<boost::json::object> make_answer(const pipelines::description& d, wire::JobResult r,
                                        const media_delivery& delivery, net::media_store& store,
                                        boost::json::storage_ptr storage = {});

/// The answer to GET /health.
boost::json::object make_health(const actors::gateway_view& view);

}  // namespace lp::runtime
