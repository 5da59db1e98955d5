// SPDX-License-Identifier: MIT
#include "actors/input_packing.hpp"

#include <gtest/gtest.h>

#include "actors/result_packing.hpp"

namespace lp::actors {
namespace {

input_file file(const std::string& field, const shared_bytes& body, std::size_t offset,
                std::size_t size) {
  return {field, "image/png", body, offset, size};
}

TEST(input_packing, small_files_travel_inside_until_they_are_many) {
  const auto body = share(std::string(2 * chunk_bytes, 'x') + "end");
  const input_file files[] = {file("a", body, 0, chunk_bytes / 2), file("b", body, 0, chunk_bytes),
                              file("c", body, 2 * chunk_bytes, 3)};
  wire::JobRequest r;
  pack_inputs(files, r);
  ASSERT_EQ(r.attachments_size(), 3);
  EXPECT_EQ(r.attachments(0).data().size(), chunk_bytes / 2);
  EXPECT_FALSE(is_elsewhere(r.attachments(0)));
  EXPECT_TRUE(is_elsewhere(r.attachments(1)));
  EXPECT_EQ(r.attachments(1).size(), chunk_bytes);
  EXPECT_EQ(r.attachments(2).data(), "end");
  EXPECT_EQ(r.attachments(2).mime(), "image/png");
  EXPECT_EQ(r.attachments(2).field(), "c");
}

TEST(input_packing, an_empty_file_is_there) {
  const input_file files[] = {file("a", share("abc"), 3, 0)};
  wire::JobRequest r;
  pack_inputs(files, r);
  EXPECT_FALSE(is_elsewhere(r.attachments(0)));
}

TEST(input_packing, parts_are_those_of_the_span) {
  const input_file files[] = {file("a", share("0123456789"), 2, 6)};
  wire::ChunkRequest r;
  r.set_offset(4);
  r.set_length(100);
  const auto part = read_input(r, files);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->data(), "67");
  EXPECT_EQ(part->total(), 6U);
  r.set_offset(7);
  EXPECT_EQ(read_input(r, files).error().code, ec::bad_request);
  r.set_offset(0);
  r.set_length(chunk_bytes + 1);
  EXPECT_EQ(read_input(r, files).error().code, ec::bad_request);
  r.set_length(1);
  r.set_input(1);
  EXPECT_EQ(read_input(r, files).error().code, ec::bad_request);
}

TEST(input_packing, a_file_is_held_to_its_digest_and_its_length) {
  const input_file files[] = {file("a", share("0123456789"), 2, 6)};
  wire::JobRequest r;
  pack_inputs(files, r);
  EXPECT_TRUE(check_input(r.attachments(0)));
  wire::Attachment other = r.attachments(0);
  other.set_data("23456x");
  EXPECT_EQ(check_input(other).error().code, ec::bad_request);
  EXPECT_EQ(check_input(other).error().message.substr(0, 2), "a:");
  other = r.attachments(0);
  other.set_size(5);
  EXPECT_FALSE(check_input(other));
  other = r.attachments(0);
  other.clear_sha256();
  EXPECT_FALSE(check_input(other));
}

}  // namespace
}  // namespace lp::actors
