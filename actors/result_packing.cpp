// SPDX-License-Identifier: MIT
#include "actors/result_packing.hpp"

#include <fmt/core.h>
#include <boost/json/serialize.hpp>

#include "actors/input_packing.hpp"

namespace lp::actors {

namespace {

result<void> pack_file(pipelines::media&& file, const std::string& node, net::media_store& blobs,
                       time_point now, wire::Media& out) {
  out.set_mime(file.mime);
  out.set_seed(file.seed);
  out.set_nsfw(file.nsfw);
  out.set_width(file.width);
  out.set_height(file.height);
  out.set_size(file.data->size());
  if (file.data->size() <= chunk_bytes) {
    out.set_data(*file.data);
    return {};
  }
  const auto id = blobs.put(std::move(file.data), file.mime, now);
  if (!id) return fail(id.error());
  out.set_blob(fmt::format("{}/{}", node, *id));
  return {};
}

void add_stage(wire::JobResult& r, const std::string& name, double ms) {
  wire::Stage& stage = *r.add_stages();
  stage.set_name(name);
  stage.set_ms(ms);
}

}  // namespace

result<wire::JobResult> pack_result(const wire::JobRequest& request, pipelines::output&& done,
                                    const packing_worker& by, net::media_store& blobs,
                                    time_point now) {
  wire::JobResult r;
  r.set_id(request.id());
  r.set_model(request.model());
  r.set_units(done.units);
  r.add_route(by.node);
  if (!done.fields.empty()) r.set_fields_json(boost::json::serialize(done.fields));
  for (std::string& note : done.notes) r.add_notes(std::move(note));
  if (by.load_ms > 1) add_stage(r, "load", by.load_ms);
  for (const pipelines::stage_time& t : done.stages) add_stage(r, t.name, t.ms);
  for (pipelines::media& file : done.files) {
    if (auto ok = pack_file(std::move(file), by.node, blobs, now, *r.add_media()); !ok) {
      return fail(ok.error());
    }
  }
  return r;
}

result<wire::Chunk> read_blob(const wire::ChunkRequest& r, const net::media_store& blobs,
                              time_point now) {
  const auto item = blobs.get(r.blob().substr(r.blob().find('/') + 1), now);
  if (!item) return fail(ec::gone, "the result is no longer kept");
  return cut_chunk(r, *item->data);
}

}  // namespace lp::actors
