// SPDX-License-Identifier: MIT
// A job's files as they travel with its request. No CAF.
#pragma once

#include <span>
#include <string_view>

#include "actors/protocol.hpp"
#include "net/wire/cluster.pb.h"
#include "runtime/base/error.hpp"

namespace lp::actors {

/// Adds the files to the request, each with its digest. As long as they are below chunk_bytes
/// together their bytes go with it; the others are pulled by the worker.
void pack_inputs(std::span<const input_file> files, wire::JobRequest& request);

/// Whether the worker has to pull this file's bytes.
inline bool is_elsewhere(const wire::Attachment& a) {
  return a.size() > a.data().size();
}

/// The file's bytes, all here by now, are those that its size and digest announced: what the job's
/// price and authorisation were made for. Otherwise ec::bad_request.
result<void> check_input(const wire::Attachment& a);

/// The part of a job's file that a chunk request names; bad_request if there is no such file or the
/// part lies outside it.
result<wire::Chunk> read_input(const wire::ChunkRequest& r, std::span<const input_file> files);

/// The part of `bytes` that a chunk request names; bad_request if it lies outside them.
result<wire::Chunk> cut_chunk(const wire::ChunkRequest& r, std::string_view bytes);

}  // namespace lp::actors
