// SPDX-License-Identifier: MIT
// Small files that ask for much work or memory.
#include <sys/resource.h>

#include <ctime>

#include <gmock/gmock.h>

#include "pipelines/media/decode.hpp"
#include "tests/media/file_makers.hpp"

namespace lp::pipelines {
namespace {

using namespace lp::testing;
using ::testing::HasSubstr;

double processor_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

long most_memory_kib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST(costly_files, thousands_of_scans_are_refused_at_once) {
  const auto image = decode_image(many_scans(4096, 60000), {.processor_time = seconds(60)});
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, ec::bad_file);
  EXPECT_THAT(image.error().message, HasSubstr("scans"));
  // An honest number of them is decoded.
  EXPECT_TRUE(decode_image(many_scans(256, 60)));
}

TEST(costly_files, decoding_ends_when_its_time_is_over) {
  const std::string rows(std::size_t{4097} * 4096, '\0');
  const std::string files[] = {many_scans(4096, 99), make_png({4096, 4096, 8, 0, rows, {}, {}}),
                               make_webp(2048, 2048, std::string(std::size_t{4} << 22U, '\x7f'))};
  for (const std::string& file : files) {
    const double start = processor_seconds();
    const auto image = decode_image(file, {.processor_time = milliseconds(1)});
    EXPECT_LT(processor_seconds() - start, 2);
    ASSERT_FALSE(image);
    EXPECT_EQ(image.error().code, ec::too_large);
    EXPECT_THAT(image.error().message, HasSubstr("more than 0.001 s of processor time"));
  }
}

TEST(costly_files, decoding_ends_when_nobody_waits_for_it) {
  cancel_token stop;
  stop.cancel();
  for (const std::string& file :
       {many_scans(1024, 99), make_png({4, 1, 8, 0, std::string(5, '\0'), {}, {}}),
        make_webp(8, 8, std::string(256, '\0'))}) {
    const auto image = decode_image(file, {.stop = stop});
    ASSERT_FALSE(image);
    EXPECT_EQ(image.error().code, ec::cancelled);
  }
}

// A few megabytes that unpack to a gigabyte, where nobody has to look.
TEST(costly_files, what_is_packed_beside_the_pixels_is_not_unpacked) {
  const std::string bomb = deflated_zeros(std::size_t{1} << 30U);
  const std::string named = std::string("name\0\0", 6) + bomb;
  const long before = most_memory_kib();
  const double start = processor_seconds();
  for (const char* name : {"iCCP", "zTXt"}) {
    png_recipe r{1, 1, 8, 0, std::string("\0\x07", 2), png_chunk(name, named), {}};
    const auto image = decode_image(make_png(r));
    ASSERT_TRUE(image) << render(image.error());
    EXPECT_EQ(image->pixels, "\x07\x07\x07");
  }
  EXPECT_LT(most_memory_kib() - before, 100 << 10);
  EXPECT_LT(processor_seconds() - start, 2);
}

TEST(costly_files, data_behind_the_last_row_end_with_the_time) {
  png_recipe r{1, 1, 8, 0, {}, {}, {}, deflated_zeros(std::size_t{1} << 30U)};
  const double start = processor_seconds();
  const auto image = decode_image(make_png(r), {.processor_time = milliseconds(20)});
  EXPECT_LT(processor_seconds() - start, 0.2);
  if (!image) {
    EXPECT_EQ(image.error().code, ec::too_large);
  }
}

TEST(costly_files, a_million_empty_segments_are_no_picture) {
  std::string chunks, segments;
  for (int i = 0; i < (1 << 20) + 10; ++i) {
    chunks += std::string("\0\0\0\0tEXt\0\0\0\0", 12);
    segments += std::string("\xff\xfe\0\x02", 4);
  }
  EXPECT_THAT(
      decode_image(make_png({1, 1, 8, 0, std::string(2, '\0'), chunks, {}})).error().message,
      HasSubstr("segments"));
  EXPECT_THAT(decode_image(make_jpeg({.behind_start = segments})).error().message,
              HasSubstr("segments"));
}

}  // namespace
}  // namespace lp::pipelines
