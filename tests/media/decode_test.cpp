// SPDX-License-Identifier: MIT
// One picture in many files: red and green above, blue and white (or nothing) below. The files were
// written by another library than the one that reads them.
#include "pipelines/media/decode.hpp"

#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "pipelines/media/image_header.hpp"

namespace lp::pipelines {
namespace {

namespace fs = std::filesystem;

const fs::path folder = fs::path(LP_SOURCE_DIR) / "tests/data/images";

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

using colour = std::array<int, 3>;
using quadrants = std::array<colour, 4>;

constexpr quadrants colourful{{{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}}};
constexpr quadrants grey{{{76, 76, 76}, {150, 150, 150}, {29, 29, 29}, {255, 255, 255}}};
constexpr quadrants two_tone{{{0, 0, 0}, {255, 255, 255}, {0, 0, 0}, {255, 255, 255}}};

colour pixel(const rgb_image& image, std::uint32_t x, std::uint32_t y) {
  colour out{};
  for (std::size_t c = 0; c < 3; ++c) {
    out[c] = static_cast<unsigned char>(image.pixels[(std::size_t{y} * image.width + x) * 3 + c]);
  }
  return out;
}

void expect_seen(const std::string& name, const quadrants& wanted, int tolerance) {
  SCOPED_TRACE(name);
  const auto image = decode_image(read_file(folder / name));
  ASSERT_TRUE(image) << render(image.error());
  ASSERT_EQ(image->width, 48U);
  ASSERT_EQ(image->height, 32U);
  ASSERT_EQ(image->pixels.size(), 48U * 32U * 3U);
  constexpr std::array<std::array<std::uint32_t, 2>, 4> centres{
      {{12, 8}, {36, 8}, {12, 24}, {36, 24}}};
  for (std::size_t i = 0; i < 4; ++i) {
    const colour got = pixel(*image, centres[i][0], centres[i][1]);
    for (std::size_t c = 0; c < 3; ++c) {
      EXPECT_NEAR(got[c], wanted[i][c], tolerance) << "quadrant " << i << " channel " << c;
    }
  }
}

TEST(decode_image, reads_every_kind_of_png) {
  for (const char* name : {"rgb.png", "rgb16.png", "palette.png", "transparent.png", "rgba16.png"})
    expect_seen(name, colourful, 1);
  for (const char* name : {"gray.png", "gray16.png", "gray_alpha16.png"}) {
    expect_seen(name, grey, 1);
  }
  expect_seen("one_bit.png", two_tone, 0);
}

TEST(decode_image, reads_every_kind_of_jpeg) {
  for (const char* name : {"photo.jpg", "progressive.jpg", "subsampled.jpg", "cmyk.jpg"}) {
    expect_seen(name, colourful, 4);
  }
  expect_seen("gray.jpg", grey, 2);
}

TEST(decode_image, reads_webp_and_the_first_frame_of_a_gif) {
  for (const char* name :
       {"lossless.webp", "transparent.webp", "still.gif", "animated.gif", "transparent.gif"}) {
    expect_seen(name, colourful, 0);
  }
  expect_seen("lossy.webp", colourful, 4);
  const auto animated = decode_image(read_file(folder / "animated.webp"));
  ASSERT_FALSE(animated);
  EXPECT_EQ(animated.error().code, ec::unsupported_media);
}

TEST(decode_image, turns_pictures_upright) {
  for (int o = 2; o <= 8; ++o)
    expect_seen("orientation_" + std::to_string(o) + ".jpg", colourful, 4);
  expect_seen("orientation_6.png", colourful, 0);
  expect_seen("orientation_6.webp", colourful, 0);
}

TEST(decode_image, refuses_too_many_pixels_before_it_decodes) {
  for (const char* name : {"rgb.png", "photo.jpg", "lossy.webp", "still.gif"}) {
    const auto image = decode_image(read_file(folder / name), {.max_pixels = 1000});
    ASSERT_FALSE(image) << name;
    EXPECT_EQ(image.error().code, ec::too_large) << name;
    EXPECT_NE(image.error().message.find("48x32"), std::string::npos) << image.error().message;
  }
}

// A header of a small picture before a stream of a large one.
TEST(decode_image, does_not_believe_the_header_alone) {
  std::string file = read_file(folder / "orientation_6.webp");
  ASSERT_EQ(file.substr(12, 4), "VP8X");
  file.replace(24, 6, std::string("\0\0\0\0\0\0", 6));  // the canvas: 1x1
  ASSERT_TRUE(read_image_header(file));
  const auto image = decode_image(file, {.max_pixels = 100});
  EXPECT_FALSE(image) << "a stream of 32x48 pixels where 100 are allowed";
}

TEST(decode_image, a_file_cut_short_is_an_error) {
  constexpr std::size_t first_frame_of_animated = 216;  // of 1077 bytes
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = read_file(entry.path());
    // A PNG's last chunk does not matter, nor what stands behind the first frame of a GIF.
    const std::string extension = entry.path().extension();
    std::size_t needed = file.size() - (extension == ".png" ? 13 : extension == ".gif" ? 2 : 0);
    if (entry.path().filename() == "animated.gif") needed = first_frame_of_animated;
    for (std::size_t length = 0; length < needed; length += 3) {
      const auto image = decode_image(file.substr(0, length));
      EXPECT_FALSE(image) << entry.path().filename() << " cut to " << length;
    }
  }
}

TEST(decode_image, flipped_bytes_are_an_error_or_a_whole_picture) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = read_file(entry.path());
    for (std::size_t at = 0; at < file.size(); ++at) {
      std::string damaged = file;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x5a);
      const auto image = decode_image(damaged, {.max_pixels = 1 << 20});
      if (image) {
        EXPECT_EQ(image->pixels.size(), std::size_t{3} * image->width * image->height);
      }
    }
  }
}

TEST(decode_image, other_files_are_told_apart) {
  for (const char* text : {"", "x", "%PDF-1.4 not a picture", "RIFF....WAVEfmt ", "<svg></svg>"}) {
    const auto image = decode_image(text);
    ASSERT_FALSE(image) << text;
    EXPECT_EQ(image.error().code, ec::unsupported_media) << text;
  }
}

TEST(decode_image, reads_real_photographs) {
  const fs::path photos = fs::path(LP_SOURCE_DIR) / "../shared/media/photo";
  if (!fs::exists(photos)) GTEST_SKIP() << "../shared is absent";
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(photos)) {
    if (entry.path().extension() != ".png") continue;
    const auto image = decode_image(read_file(entry.path()));
    ASSERT_TRUE(image) << entry.path() << render(image.error());
    double sum = 0;
    for (const char c : image->pixels) sum += static_cast<unsigned char>(c);
    const double mean = sum / static_cast<double>(image->pixels.size());
    EXPECT_GT(mean, 30) << entry.path();
    EXPECT_LT(mean, 220) << entry.path();
    ++seen;
  }
  EXPECT_GT(seen, 0);
}

}  // namespace
}  // namespace lp::pipelines
