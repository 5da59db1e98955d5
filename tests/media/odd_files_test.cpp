// SPDX-License-Identifier: MIT
// Files that are right and rare: inks, odd samplings, transparent greys, broken profiles, films
// behind pictures. Colours are Pillow's.
#include <gmock/gmock.h>

#include "pipelines/media/decode.hpp"
#include "pipelines/media/image_header.hpp"
#include "tests/media/file_makers.hpp"

namespace lp::pipelines {
namespace {

using namespace lp::testing;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<int> values(const std::string& bytes) {
  std::vector<int> out;
  for (const char b : bytes) out.push_back(static_cast<unsigned char>(b));
  return out;
}

std::vector<int> seen(const std::string& file) {
  const auto image = decode_image(file);
  EXPECT_TRUE(image) << render(image.error());
  return image ? values(image->pixels) : std::vector<int>();
}

std::vector<int> mask_of(const std::string& file) {
  const auto mask = decode_mask(file);
  EXPECT_TRUE(mask) << render(mask.error());
  return mask ? values(mask->pixels) : std::vector<int>();
}

void expect_quarters(const jpeg_recipe& recipe, const std::string& what) {
  const auto image = decode_image(make_jpeg(recipe));
  ASSERT_TRUE(image) << what << ": " << render(image.error());
  EXPECT_LT(error_of(*image), 3) << what;
}

TEST(decode_image, reads_inks_with_and_without_the_marker_of_adobe) {
  for (const bool progressive : {false, true}) {
    expect_quarters({.components = 4, .progressive = progressive}, "CMYK");
    expect_quarters({.components = 4, .adobe = false, .progressive = progressive}, "bare CMYK");
    expect_quarters({.components = 4, .ycck = true, .progressive = progressive}, "YCCK");
  }
}

TEST(decode_image, reads_arithmetic_coding_and_odd_samplings) {
  expect_quarters({.arithmetic = true}, "arithmetic");
  expect_quarters({.arithmetic = true, .progressive = true}, "arithmetic, progressive");
  expect_quarters({.sampling = {{{2, 1}, {1, 2}, {1, 1}, {1, 1}}}}, "2x1, 1x2, 1x1");
  expect_quarters({.sampling = {{{1, 2}, {1, 1}, {1, 1}, {1, 1}}}}, "1x2");
  expect_quarters({.sampling = {{{4, 1}, {1, 1}, {1, 1}, {1, 1}}}}, "4x1");
  expect_quarters({.sampling = {{{1, 1}, {2, 2}, {1, 1}, {1, 1}}}}, "chroma finer than luma");
}

// A phone's picture with a film behind it, in which anything may occur.
TEST(decode_image, what_stands_behind_a_jpeg_does_not_matter) {
  const std::string picture = make_jpeg({});
  for (const std::string& film :
       {std::string("\0\0\0\x18"
                    "ftypmp42",
                    12),
        std::string("\xff\xda and no end"), std::string("\xff\xd8\xff\xe0\0\x04..\xff\xd9", 10),
        std::string(70000, '\xff')}) {
    const auto image = decode_image(picture + film);
    ASSERT_TRUE(image) << render(image.error());
    EXPECT_LT(error_of(*image), 3);
    EXPECT_FALSE(decode_image(picture.substr(0, picture.size() / 2) + film));
  }
}

TEST(decode_image, transparent_greys_are_white_at_every_depth) {
  // Two pixels of value 1, two of value 0.
  const std::pair<int, std::string> kinds[] = {{1, std::string("\0\xc0", 2)},
                                               {2, std::string("\0\x50", 2)},
                                               {4, std::string("\0\x11\x00", 3)},
                                               {8, std::string("\0\x01\x01\0\0", 5)},
                                               {16, std::string("\0\0\x01\0\x01\0\0\0\0", 9)}};
  for (const auto& [depth, row] : kinds) {
    png_recipe r{4, 1, depth, 0, row, {}, {}};
    const int one = depth == 16 ? 0 : 255 / ((1 << depth) - 1);
    EXPECT_THAT(seen(make_png(r)), ElementsAre(one, one, one, one, one, one, 0, 0, 0, 0, 0, 0))
        << depth;
    r.before = png_chunk("tRNS", std::string("\0\0", 2));
    EXPECT_THAT(seen(make_png(r)),
                ElementsAre(one, one, one, one, one, one, 255, 255, 255, 255, 255, 255))
        << depth;
    EXPECT_THAT(mask_of(make_png(r)), ElementsAre(one, one, 0, 0)) << depth;
    r.before = png_chunk("tRNS", std::string("\0\x01", 2));
    EXPECT_THAT(seen(make_png(r)), ElementsAre(255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0))
        << depth;
  }
}

TEST(decode_image, a_transparent_colour_is_white_at_both_depths) {
  png_recipe r{2, 1, 8, 2, std::string("\0\x0a\x14\x1e\x0a\x14\x1f", 7), {}, {}};
  r.before = png_chunk("tRNS", std::string("\0\x0a\0\x14\0\x1e", 6));
  EXPECT_THAT(seen(make_png(r)), ElementsAre(255, 255, 255, 10, 20, 31));
  // All sixteen bits count, the lower ones too.
  r = {2, 1, 16, 2, std::string("\0\x0a\x01\x14\x01\x1e\x01\x0a\x01\x14\x01\x1e\x02", 13), {}, {}};
  r.before = png_chunk("tRNS", "\x0a\x01\x14\x01\x1e\x01");
  EXPECT_THAT(seen(make_png(r)), ElementsAre(255, 255, 255, 10, 20, 30));
}

// White strokes, a soft brush and red paint on what is transparent.
TEST(decode_mask, transparency_does_not_count) {
  const std::string rgba(
      "\xff\xff\xff\xff"
      "\xff\xff\xff\x01"
      "\0\0\0\0"
      "\xff\0\0\x80",
      16);
  EXPECT_THAT(mask_of(make_png({4, 1, 8, 6, '\0' + rgba, {}, {}})), ElementsAre(255, 255, 0, 76));
  EXPECT_THAT(mask_of(make_webp(4, 1, rgba)), ElementsAre(255, 255, 0, 76));
  EXPECT_THAT(mask_of(make_png({3, 1, 8, 4, std::string("\0\xff\x01\0\0\x80\0", 7), {}, {}})),
              ElementsAre(255, 0, 128));
  const std::string palette = png_chunk("PLTE", std::string("\xff\xff\xff\0\0\0\xff\0\0", 9));
  const std::string soft = png_chunk("tRNS", std::string("\x80\0", 2));
  EXPECT_THAT(mask_of(make_png({3, 1, 8, 3, std::string("\0\0\1\2", 4), palette + soft, {}})),
              ElementsAre(255, 0, 76));
  // As they are seen, what is transparent is white.
  EXPECT_THAT(seen(make_png({4, 1, 8, 6, '\0' + rgba, {}, {}})),
              ElementsAre(255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 127, 127));
}

TEST(decode_mask, of_colours_is_their_rounded_luma) {
  const std::string rgb("\xff\0\0\0\xff\0\0\0\xff\x80\x80\x80", 12);
  EXPECT_THAT(mask_of(make_png({4, 1, 8, 2, '\0' + rgb, {}, {}})), ElementsAre(76, 150, 29, 128));
  const auto grey = decode_mask(make_jpeg({.components = 1}));
  ASSERT_TRUE(grey);
  EXPECT_NEAR(static_cast<unsigned char>(grey->pixels[0]), quarters[0][1], 2);
}

TEST(decode_image, broken_chunks_beside_the_picture_are_dropped) {
  png_recipe r{2, 1, 8, 2, std::string("\0\x01\x02\x03\x04\x05\x06", 7), {}, {}};
  const auto expect_pixels = [&](const std::string& what) {
    EXPECT_THAT(seen(make_png(r)), ElementsAre(1, 2, 3, 4, 5, 6)) << what;
  };
  for (const char* name : {"iCCP", "eXIf", "zTXt", "iTXt", "tEXt", "gAMA", "cHRM", "sRGB", "pHYs",
                           "sBIT", "bKGD", "tIME", "sPLT", "hIST", "prVt"}) {
    std::string wrong_sum = png_chunk(name, std::string("\0\0\xff\xff", 4));
    wrong_sum.back() = static_cast<char>(wrong_sum.back() ^ 1);
    for (const std::string& chunk :
         {png_chunk(name, "not what it should be"), png_chunk(name, ""), wrong_sum}) {
      r.before = chunk;
      r.after = {};
      expect_pixels(name);
      r.before = chunk + chunk;
      r.after = chunk;
      expect_pixels(name);
    }
  }
}

// Those of the picture itself are not: it would be another one.
TEST(decode_image, a_wrong_sum_of_the_pixels_is_an_error) {
  for (const char* name : {"IHDR", "PLTE", "IDAT"}) {
    std::string file =
        make_png({2, 1, 8, 3, std::string("\0\0\1", 3), png_chunk("PLTE", "abcdef"), {}});
    ASSERT_TRUE(decode_image(file));
    const auto at = file.find(name);
    const auto length = static_cast<unsigned char>(file[at - 1]);
    file[at + 4 + length] = static_cast<char>(file[at + 4 + length] ^ 1);
    const auto image = decode_image(file);
    ASSERT_FALSE(image) << name;
    EXPECT_EQ(image.error().code, ec::bad_file) << name;
  }
}

TEST(decode_image, says_what_is_not_supported) {
  const auto why = [](const std::string& file) {
    const auto image = decode_image(file);
    if (image) return std::string("decoded");
    EXPECT_EQ(image.error().code, ec::unsupported_media);
    return image.error().message;
  };
  std::string file = make_jpeg({});
  const auto frame = file.find("\xff\xc0");
  const auto with = [&](std::size_t at, unsigned value) {
    std::string other = file;
    other[frame + at] = static_cast<char>(value);
    return why(other);
  };
  EXPECT_THAT(with(1, 0xc3), HasSubstr("not supported: lossless coding"));
  EXPECT_THAT(with(1, 0xc5), HasSubstr("not supported: hierarchical coding"));
  EXPECT_THAT(with(4, 12), HasSubstr("not supported: samples of 12 bits"));
  EXPECT_THAT(with(9, 2), HasSubstr("not supported: 2 colour components"));
  file[frame + 14] = '\x21';  // of the second component, against
  EXPECT_THAT(with(11, 0x31), HasSubstr("not supported: its sampling of the colours"));
  EXPECT_THAT(why(make_png({1, 1, 8, 0, std::string(2, '\0'), png_chunk("CgBI", "...."), {}})),
              HasSubstr("not supported: the chunk CgBI"));
}

TEST(read_image_header, takes_an_orientation_of_any_integer_type) {
  for (const bool intel : {false, true}) {
    for (const int type : {1, 3, 4, 6, 8, 9}) {
      const std::string block = exif_block(intel, type, 6);
      const std::string exif = std::string("Exif\0\0", 6) + block;
      const std::string app1 = "\xff\xe1" + big(exif.size() + 2, 2) + exif;
      const std::string other = std::string("\xff\xe1\0\x08http:/", 10);
      png_recipe r{2, 1, 8, 0, std::string(3, '\0'), {}, {}};
      r.before = png_chunk("eXIf", block);
      png_recipe late = r;
      std::swap(late.before, late.after);
      for (const std::string& file :
           {make_jpeg({.behind_start = app1}), make_jpeg({.behind_start = other + app1}),
            make_jpeg({.before_scan = app1}), make_png(r), make_png(late)}) {
        const auto header = read_image_header(file);
        ASSERT_TRUE(header);
        EXPECT_EQ(header->orientation, 6) << "type " << type << (intel ? " II" : " MM");
        const auto image = decode_image(file);
        ASSERT_TRUE(image) << render(image.error());
        EXPECT_EQ(image->width, header->height);
      }
    }
    // Neither text nor a fraction, nor a number that means nothing.
    for (const auto& [type, value] : {std::pair{2, 6U}, {5, 6U}, {3, 9U}, {4, 0x60000U}, {3, 0U}}) {
      png_recipe r{2, 1, 8, 0, std::string(3, '\0'), {}, {}};
      r.before = png_chunk("eXIf", exif_block(intel, type, value));
      EXPECT_EQ(read_image_header(make_png(r))->orientation, 1) << type << " " << value;
    }
  }
}

TEST(read_image_header, a_broken_exif_chunk_does_not_count) {
  std::string chunk = png_chunk("eXIf", exif_block(true, 3, 6));
  chunk.back() = static_cast<char>(chunk.back() ^ 1);
  EXPECT_EQ(read_image_header(make_png({2, 1, 8, 0, std::string(3, '\0'), chunk, {}}))->orientation,
            1);
}

}  // namespace
}  // namespace lp::pipelines
