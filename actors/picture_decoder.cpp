// SPDX-License-Identifier: MIT
#include "actors/picture_decoder.hpp"

#include <new>
#include <utility>

#include "actors/errors.hpp"
#include "actors/input_packing.hpp"
#include "pipelines/job_files.hpp"

namespace lp::actors {

namespace {

result<void> take(decoding& d) {
  for (wire::Attachment& a : d.files) {
    if (d.stop.cancelled()) return fail(ec::cancelled, "the job was cancelled");
    if (auto ok = check_input(a); !ok) return ok;
    d.input.attachments.push_back({a.field(), a.mime(), share(std::move(*a.mutable_data()))});
  }
  d.files.clear();
  return pipelines::decode_pictures(*d.pipeline, d.input,
                                    {.processor_time = decoding_time, .stop = d.stop});
}

}  // namespace

result<void> decode_files(decoding& d) {
  try {
    return take(d);
  } catch (const std::bad_alloc&) {
    return fail(ec::out_of_memory, "the node's memory did not suffice for this job's files");
  } catch (const std::exception& e) {
    return fail(ec::pipeline_failed, e.what());
  }
}

picture_decoder_actor spawn_picture_decoder(caf::actor_system& system) {
  using self_ptr = picture_decoder_actor::pointer;
  return system.spawn<caf::detached>([](self_ptr self) -> picture_decoder_actor::behavior_type {
    return {[self](read_atom, const decoding_ptr& d) -> caf::result<decoding_ptr> {
      self->quit();
      if (auto ok = decode_files(*d); !ok) return to_caf(ok.error());
      return d;
    }};
  });
}

}  // namespace lp::actors
