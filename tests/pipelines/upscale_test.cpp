// SPDX-License-Identifier: MIT
#include <string>

#include <gmock/gmock.h>

#include "pipelines/description.hpp"

namespace lp::pipelines {
namespace {

// The start of a PNG file: all that is looked at before a job is taken.
std::string header(std::uint32_t width, std::uint32_t height) {
  std::string out("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", 16);
  for (const std::uint32_t side : {width, height}) {
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(side >> shift);
  }
  return out + std::string("\x08\x02\0\0\0....", 9);
}

std::string verdict(std::uint32_t width, std::uint32_t height) {
  const std::string file = header(width, height);
  const given_file given{"image", file};
  const auto out =
      validate(*find("upscale"), boost::json::object{{"prompt", "a dog"}}, {&given, 1});
  return out ? "fine" : out.error().fields.at(0).msg;
}

// Four times as long a side must be one that a PNG file of ours can have.
TEST(upscale, every_side_and_their_product_are_limited_before_any_work) {
  EXPECT_EQ(verdict(1024, 1024), "fine");
  EXPECT_EQ(verdict(4096, 256), "fine");
  EXPECT_EQ(verdict(1, 4096), "fine");
  EXPECT_EQ(verdict(4200, 40), "Picture should have sides of 1 to 4096 pixels, not 4200x40");
  EXPECT_EQ(verdict(40, 4097), "Picture should have sides of 1 to 4096 pixels, not 40x4097");
  EXPECT_EQ(verdict(1025, 1024), "Picture should have at most 1048576 pixels, not 1025x1024");
}

}  // namespace
}  // namespace lp::pipelines
