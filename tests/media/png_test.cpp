// SPDX-License-Identifier: MIT
#include "pipelines/media/png.hpp"

#include <gmock/gmock.h>

#include "pipelines/media/decode.hpp"

namespace lp::pipelines {
namespace {

rgb_image gradient(std::uint32_t width, std::uint32_t height) {
  rgb_image image{width, height, {}};
  for (std::uint32_t y = 0; y < height; ++y) {
    for (std::uint32_t x = 0; x < width; ++x) {
      image.pixels += static_cast<char>(x * 7);
      image.pixels += static_cast<char>(y * 11);
      image.pixels += static_cast<char>(x ^ y);
    }
  }
  return image;
}

TEST(png, keeps_every_pixel_of_any_size) {
  for (const auto& [width, height] : {std::pair{1U, 1U}, {64U, 64U}, {37U, 5U}, {3U, 200U}}) {
    const auto image = gradient(width, height);
    const auto file = encode_png(image);
    ASSERT_TRUE(file) << file.error().message;
    const auto back = decode_image(*file);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(back->width, width);
    EXPECT_EQ(back->height, height);
    EXPECT_EQ(back->pixels, image.pixels);
  }
}

TEST(png, says_that_pixels_are_square) {
  const auto file = encode_png(gradient(8, 8)).value();
  const auto at = file.find("pHYs");
  ASSERT_NE(at, file.npos);
  EXPECT_EQ(file.substr(at + 4, 9), std::string("\0\0\0\x01\0\0\0\x01\0", 9));
}

TEST(png, refuses_pixels_that_do_not_fill_the_picture) {
  auto image = gradient(8, 8);
  image.pixels.pop_back();
  EXPECT_EQ(encode_png(image).error().code, ec::internal);
  EXPECT_EQ(encode_png({}).error().code, ec::too_large);
}

TEST(png, looks_at_the_size_before_it_decodes) {
  auto file = encode_png(gradient(16, 16)).value();
  EXPECT_EQ(decode_image(file, {.max_pixels = 100}).error().code, ec::too_large);
  file[16] = '\x7f';  // the width's highest byte
  EXPECT_EQ(decode_image(file).error().code, ec::too_large);
}

TEST(png, every_cut_and_every_flipped_byte_is_an_error_or_a_picture_of_that_size) {
  const auto file = encode_png(gradient(24, 24)).value();
  for (std::size_t length = 0; length + 12 < file.size(); length += 7)
    EXPECT_FALSE(decode_image(file.substr(0, length))) << length;
  for (std::size_t at = 0; at < file.size(); ++at) {
    auto damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x5a);
    const auto got = decode_image(damaged);
    if (got) {
      EXPECT_EQ(got->pixels.size(), std::size_t{3} * got->width * got->height);
    }
  }
}

}  // namespace
}  // namespace lp::pipelines
