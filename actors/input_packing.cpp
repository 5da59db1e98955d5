// SPDX-License-Identifier: MIT
#include "actors/input_packing.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "actors/result_packing.hpp"
#include "net/digest.hpp"

namespace lp::actors {

void pack_inputs(std::span<const input_file> files, wire::JobRequest& request) {
  std::size_t inside = 0;
  for (const input_file& f : files) {
    wire::Attachment& a = *request.add_attachments();
    a.set_field(f.field);
    a.set_mime(f.mime);
    a.set_size(f.size);
    a.set_sha256(net::sha256(f.bytes()));
    if (inside + f.size > chunk_bytes) continue;
    inside += f.size;
    a.set_data(f.bytes().data(), f.size);
  }
}

result<void> check_input(const wire::Attachment& a) {
  if (a.size() == a.data().size() && a.sha256() == net::sha256(a.data())) return {};
  return fail(ec::bad_request,
              fmt::format("{}: the file is not the one that was announced", a.field()));
}

result<wire::Chunk> cut_chunk(const wire::ChunkRequest& r, std::string_view bytes) {
  if (r.offset() > bytes.size() || r.length() > chunk_bytes) {
    return fail(ec::bad_request, "the part asked for lies outside the file");
  }
  const std::string_view part = bytes.substr(r.offset(), r.length());
  wire::Chunk c;
  c.set_offset(r.offset());
  c.set_total(bytes.size());
  c.set_data(part.data(), part.size());
  return c;
}

result<wire::Chunk> read_input(const wire::ChunkRequest& r, std::span<const input_file> files) {
  if (r.input() < files.size()) return cut_chunk(r, files[r.input()].bytes());
  return fail(ec::bad_request, "the job has no such file");
}

}  // namespace lp::actors
