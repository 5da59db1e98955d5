// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <vector>

#include "actors/protocol.hpp"
#include "net/wire/cluster.pb.h"
#include "pipelines/description.hpp"
#include "runtime/base/cancel.hpp"

namespace lp::actors {

/// The files of one job on their way to pictures.
struct decoding {
  const pipelines::description* pipeline = nullptr;
  std::vector<wire::Attachment> files;  ///< with all their bytes; taken
  pipelines::job_input input;           ///< the parameters; receives pictures and further files
  cancel_token stop;                    ///< nobody waits for it any longer
};
using decoding_ptr = std::shared_ptr<decoding>;

/// The most processor time that a picture may take: what decoding 16 million pixels takes of the
/// costliest honest kind on a slow core. A file can ask for hours.
inline constexpr milliseconds decoding_time{2000};

/// Checks the files against what was announced of them, and decodes the pictures.
result<void> decode_files(decoding& d);

}  // namespace lp::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lp::actors::decoding_ptr)

namespace lp::actors {

/// Decodes one job's files on a thread of its own, and ends: strangers' files never hold up
/// anything else, and a job never waits for another one's.
using picture_decoder_actor = typed_actor<decoding_ptr(read_atom, decoding_ptr)>;

picture_decoder_actor spawn_picture_decoder(caf::actor_system& system);

}  // namespace lp::actors
