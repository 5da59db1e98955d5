// SPDX-License-Identifier: MIT
#include "tools/lp-job/half_blocks.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace lp::job {
namespace {

using namespace std::string_literals;

picture filled(int width, int height, const std::string& pixel) {
  picture p{width, height, {}};
  for (int i = 0; i < width * height; ++i) p.rgb += pixel;
  return p;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(half_blocks, one_character_shows_two_pixels) {
  const picture p{1, 2, "\xff\x00\x00\x00\x00\xff"s};
  EXPECT_EQ(*half_blocks(p, 80, 50, colours::exact),
            "\x1b[38;2;255;0;0m\x1b[48;2;0;0;255m▀\x1b[0m\n");
  EXPECT_EQ(*half_blocks(p, 80, 50, colours::palette), "\x1b[38;5;196m\x1b[48;5;21m▀\x1b[0m\n");
}

TEST(half_blocks, an_odd_last_row_has_no_ground) {
  const picture p{1, 1, "\x80\x80\x80"s};
  EXPECT_EQ(*half_blocks(p, 80, 50, colours::palette), "\x1b[38;5;244m▀\x1b[0m\n");
}

TEST(half_blocks, fit_the_terminal_and_keep_their_shape) {
  const auto wide = half_blocks(filled(1024, 576, "\x10\x20\x30"), 64, 100, colours::exact);
  ASSERT_TRUE(wide);
  EXPECT_EQ(count(*wide, "\n"), 18u);
  EXPECT_EQ(count(*wide, "▀"), 64u * 18);
  EXPECT_EQ(count(*wide, "\x1b[38;2;16;32;48m"), 18u) << "once a line: it does not change";
  EXPECT_EQ(count(*wide, "\x1b[38;2;"), 18u) << "means of one colour are that colour";
  const auto small = half_blocks(filled(4, 4, "abc"), 80, 50, colours::exact);
  EXPECT_EQ(count(*small, "▀"), 8u) << "never enlarged";
  const auto low = half_blocks(filled(100, 100, "abc"), 200, 10, colours::exact);
  EXPECT_EQ(count(*low, "\n"), 10u);
}

// A 2 x 1 picture, red and green, 8-bit RGB without filter.
const std::string png_file =
    "\x89PNG\r\n\x1a\n"
    "\x00\x00\x00\x0d"
    "IHDR"
    "\x00\x00\x00\x02\x00\x00\x00\x01\x08\x02\x00\x00\x00\x7b\x40\xe8\xdd"
    "\x00\x00\x00\x0f"
    "IDAT"
    "\x78\x9c\x63\xf8\xcf\xc0\xc0\xf0\x9f\x01\x00\x07\xff\x01\xff\x01\x7f\x89\xa7"
    "\x00\x00\x00\x00"
    "IEND"
    "\xae\x42\x60\x82"s;

TEST(decode_picture, gives_the_pixels) {
  const auto p = decode_picture(png_file);
  ASSERT_TRUE(p) << p.error().message;
  EXPECT_EQ(p->width, 2);
  EXPECT_EQ(p->height, 1);
  EXPECT_EQ(p->rgb, "\xff\x00\x00\x00\xff\x00"s);
}

TEST(decode_picture, anything_else_is_an_error) {
  EXPECT_FALSE(decode_picture(""));
  EXPECT_FALSE(decode_picture("GIF89a"));
  for (std::size_t length = 0; length < 60; ++length) {
    EXPECT_FALSE(decode_picture(png_file.substr(0, std::min<std::size_t>(length, 41)))) << length;
  }
  std::string huge = png_file;
  huge[16] = huge[20] = '\x7f';
  EXPECT_FALSE(decode_picture(huge));
}

}  // namespace
}  // namespace lp::job
