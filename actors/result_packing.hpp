// SPDX-License-Identifier: MIT
// A pipeline's output as the message that travels back.
#pragma once

#include <cstddef>
#include <string>

#include "net/media_store.hpp"
#include "net/wire/cluster.pb.h"
#include "pipelines/model.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::actors {

/// Media up to this size travel inside the result; the rest is pulled in chunks of at most this
/// size. Larger messages delay everything else on the connection.
constexpr std::size_t chunk_bytes = 256 * 1024;

/// Who ran the job.
struct packing_worker {
  std::string node;
  double load_ms = 0;  ///< how long the job waited for its model; becomes a stage where it counts
};

/// Large files go to `blobs`, under "node/id" in the message. too_large if one exceeds the store.
result<wire::JobResult> pack_result(const wire::JobRequest& request, pipelines::output&& done,
                                    const packing_worker& by, net::media_store& blobs,
                                    time_point now);

/// The part of a stored file that a chunk request names; gone if it is no longer kept, bad_request
/// if the part lies outside it.
result<wire::Chunk> read_blob(const wire::ChunkRequest& r, const net::media_store& blobs,
                              time_point now);

}  // namespace lp::actors
