// SPDX-License-Identifier: MIT
#include "actors/result_packing.hpp"

#include <gtest/gtest.h>

namespace lp::actors {
namespace {

const time_point now{};

pipelines::output with_file(std::size_t size) {
  pipelines::output out;
  out.files.push_back({"image/png", share(std::string(size, 'x')), 7, false, 64, 32});
  out.stages.push_back({"denoise", 12.5});
  out.notes.emplace_back("a note");
  out.units = 3;
  return out;
}

wire::JobRequest request() {
  wire::JobRequest r;
  r.set_id("job");
  r.set_model("m");
  return r;
}

TEST(result_packing, small_files_travel_inside) {
  net::media_store blobs;
  const auto r = pack_result(request(), with_file(chunk_bytes), {"w", 0}, blobs, now);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->media(0).data().size(), chunk_bytes);
  EXPECT_TRUE(r->media(0).blob().empty());
  EXPECT_EQ(r->media(0).seed(), 7);
  EXPECT_EQ(r->media(0).height(), 32U);
  EXPECT_EQ(r->route(0), "w");
  EXPECT_EQ(r->notes(0), "a note");
  EXPECT_EQ(r->units(), 3);
  ASSERT_EQ(r->stages_size(), 1);
  EXPECT_EQ(blobs.count(), 0U);
}

TEST(result_packing, waiting_for_the_model_is_a_stage) {
  net::media_store blobs;
  const auto r = pack_result(request(), with_file(1), {"w", 250}, blobs, now);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->stages(0).name(), "load");
  EXPECT_EQ(r->stages(0).ms(), 250);
  EXPECT_EQ(r->stages(1).name(), "denoise");
}

TEST(result_packing, large_files_wait_to_be_read_in_parts) {
  net::media_store blobs;
  const std::size_t size = chunk_bytes + 10;
  const auto r = pack_result(request(), with_file(size), {"w", 0}, blobs, now);
  ASSERT_TRUE(r);
  EXPECT_TRUE(r->media(0).data().empty());
  EXPECT_EQ(r->media(0).blob().substr(0, 2), "w/");
  wire::ChunkRequest ask;
  ask.set_blob(r->media(0).blob());
  ask.set_offset(chunk_bytes);
  ask.set_length(chunk_bytes);
  const auto tail = read_blob(ask, blobs, now);
  ASSERT_TRUE(tail);
  EXPECT_EQ(tail->data().size(), 10U);
  EXPECT_EQ(tail->total(), size);

  ask.set_offset(size + 1);
  EXPECT_EQ(read_blob(ask, blobs, now).error().code, ec::bad_request);
  ask.set_offset(0);
  ask.set_length(chunk_bytes + 1);
  EXPECT_EQ(read_blob(ask, blobs, now).error().code, ec::bad_request);
  ask.set_blob("w/unknown");
  ask.set_length(1);
  EXPECT_EQ(read_blob(ask, blobs, now).error().code, ec::gone);
}

TEST(result_packing, a_file_beyond_the_store_is_an_error) {
  net::media_store::limits small;
  small.bytes = chunk_bytes;
  net::media_store blobs(small);
  const auto r = pack_result(request(), with_file(chunk_bytes + 1), {"w", 0}, blobs, now);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, ec::too_large);
}

}  // namespace
}  // namespace lp::actors
