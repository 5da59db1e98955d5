// SPDX-License-Identifier: MIT
#include "pipelines/engine/pixels.hpp"

#include <cmath>
#include <limits>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "pipelines/engine/cuda/kernels/pixel_value.hpp"

namespace lp::engine {
namespace {

/// What torch makes of a picture in [0, 1].
std::string by_the_book(const at::Tensor& picture) {
  const auto bytes =
      (picture * 255).round().to(at::kByte).squeeze(0).permute({1, 2, 0}).contiguous();
  return {static_cast<const char*>(bytes.data_ptr()), static_cast<std::size_t>(bytes.numel())};
}

TEST(pixels, are_those_of_torch_bit_for_bit) {
  at::manual_seed(5);
  const auto picture = at::rand({1, 3, 37, 53});
  const auto made = to_pixels(picture);
  EXPECT_EQ(made.width, 53U);
  EXPECT_EQ(made.height, 37U);
  EXPECT_EQ(made.pixels, by_the_book(picture));
}

TEST(pixels, of_what_was_decoded_are_those_of_the_picture_in_every_layout_and_type) {
  at::manual_seed(6);
  const auto decoded = at::randn({1, 3, 24, 40});
  for (const auto type : {at::kFloat, at::kHalf, at::kBFloat16}) {
    const auto given = decoded.to(type);
    const auto picture = (given.to(at::kFloat) / 2 + 0.5).clamp(0, 1);
    EXPECT_EQ(decoded_pixels(given).pixels, by_the_book(picture)) << type;
    EXPECT_EQ(decoded_pixels(given.contiguous(at::MemoryFormat::ChannelsLast)).pixels,
              by_the_book(picture))
        << type;
  }
}

TEST(pixels, of_one_channel_are_grey) {
  const auto made = decoded_pixels(at::full({1, 1, 2, 2}, 1.0));
  EXPECT_EQ(made.pixels, std::string(12, '\xff'));
}

TEST(pixel_byte, goes_to_the_even_neighbour_and_stays_in_range) {
  // Halfway between two bytes as closely as fp32 comes, and exactly where it does.
  for (int k = 0; k < 255; ++k) {
    const float between = (static_cast<float>(k) + 0.5F) / 255.0F;
    for (const float value :
         {std::nextafter(between, 0.0F), between, std::nextafter(between, 1.0F)})
      EXPECT_EQ(pixel_byte(value), static_cast<int>(std::nearbyint(value * 255.0F))) << value;
  }
  EXPECT_EQ(pixel_byte(-3), 0);
  EXPECT_EQ(pixel_byte(1.5F), 255);
  EXPECT_EQ(pixel_byte(std::numeric_limits<float>::infinity()), 255);
  EXPECT_EQ(pixel_byte(std::numeric_limits<float>::quiet_NaN()), 0);
  EXPECT_EQ(decoded_byte(-1), 0);
  EXPECT_EQ(decoded_byte(0), 128);
  EXPECT_EQ(decoded_byte(1), 255);
}

}  // namespace
}  // namespace lp::engine
