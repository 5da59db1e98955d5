// SPDX-License-Identifier: MIT
#include "pipelines/media/resample.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include <gmock/gmock.h>

namespace lp::pipelines {
namespace {

using testing::Each;
using testing::ElementsAre;

constexpr resampling filters[] = {resampling::nearest, resampling::bilinear, resampling::bicubic,
                                  resampling::lanczos};

rgb_image noise(std::uint32_t width, std::uint32_t height) {
  rgb_image image{width, height, {}};
  std::uint32_t state = 12345;
  for (std::uint32_t i = 0; i < width * height * 3; ++i) {
    state = state * 1664525U + 1013904223U;
    image.pixels += static_cast<char>(state >> 24);
  }
  return image;
}

rgb_image row_of(const std::vector<int>& values) {
  rgb_image image{static_cast<std::uint32_t>(values.size()), 1, {}};
  for (const int v : values) image.pixels.append(3, static_cast<char>(v));
  return image;
}

/// The red values.
std::vector<int> reds(const rgb_image& p) {
  std::vector<int> out;
  for (std::size_t i = 0; i < p.pixels.size(); i += 3)
    out.push_back(static_cast<unsigned char>(p.pixels[i]));
  return out;
}

TEST(resample, a_flat_picture_stays_flat) {
  const rgb_image flat{9, 7, std::string(9 * 7 * 3, static_cast<char>(201))};
  for (const auto filter : filters) {
    for (const auto& [w, h] : {std::pair{4U, 3U}, {31U, 20U}, {20U, 2U}, {2U, 30U}}) {
      const auto out = resample(flat, w, h, filter);
      ASSERT_TRUE(out) << render(out.error());
      EXPECT_EQ(out->width, w);
      EXPECT_EQ(out->height, h);
      ASSERT_EQ(out->pixels.size(), std::size_t{3} * w * h);
      EXPECT_THAT(reds(*out), Each(201));
    }
  }
}

TEST(resample, at_its_own_size_a_picture_stays_as_it_is) {
  const auto picture = noise(13, 8);
  for (const auto filter : filters)
    EXPECT_EQ(resample(picture, 13, 8, filter)->pixels, picture.pixels);
}

// Worked out by hand: at half the size bilinear weighs 1 3 3 1 eighths inside, 3 3 1 sevenths at
// an edge.
TEST(resample, reducing_averages_over_all_that_a_pixel_covers) {
  const auto out = resample(row_of({70, 0, 0, 0, 80, 0, 0, 140}), 4, 1, resampling::bilinear);
  EXPECT_THAT(reds(*out), ElementsAre(30, 10, 30, 60));
}

TEST(resample, nearest_takes_the_pixel_at_the_middle) {
  EXPECT_THAT(reds(*resample(row_of({1, 2, 3, 4, 5, 6}), 2, 1, resampling::nearest)),
              ElementsAre(2, 5));
  EXPECT_THAT(reds(*resample(row_of({1, 2}), 5, 1, resampling::nearest)),
              ElementsAre(1, 1, 2, 2, 2));
}

// Bicubic overshoots a step by up to 7 of 100, which ends at black and white.
TEST(resample, overshoot_is_clipped) {
  const auto sharp = reds(*resample(row_of({0, 0, 0, 255, 255, 255}), 24, 1, resampling::bicubic));
  EXPECT_EQ(*std::min_element(sharp.begin(), sharp.end()), 0);
  EXPECT_EQ(*std::max_element(sharp.begin(), sharp.end()), 255);
  EXPECT_TRUE(std::is_sorted(sharp.begin(), sharp.end()));
  const auto soft =
      reds(*resample(row_of({100, 100, 100, 200, 200, 200}), 24, 1, resampling::bicubic));
  EXPECT_LT(*std::min_element(soft.begin(), soft.end()), 97);
  EXPECT_GT(*std::max_element(soft.begin(), soft.end()), 203);
}

/// One pass straight from the definition, in floating point: the cubic convolution kernel with
/// a = -1/2 (Keys 1981), stretched where the picture shrinks.
std::vector<double> keys(const std::vector<double>& from, std::size_t to) {
  const double scale = static_cast<double>(from.size()) / static_cast<double>(to);
  const double stretch = std::max(1.0, scale);
  const auto kernel = [](double x) {
    x = std::abs(x);
    if (x < 1) return 1.5 * x * x * x - 2.5 * x * x + 1;
    return x < 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0.0;
  };
  std::vector<double> out;
  for (std::size_t i = 0; i < to; ++i) {
    double sum = 0, weights = 0;
    for (std::size_t x = 0; x < from.size(); ++x) {
      const double w =
          kernel((static_cast<double>(x) + 0.5 - (static_cast<double>(i) + 0.5) * scale) / stretch);
      sum += w * from[x];
      weights += w;
    }
    out.push_back(std::clamp(sum / weights, 0.0, 255.0));
  }
  return out;
}

TEST(resample, bicubic_is_the_cubic_convolution) {
  const auto picture = noise(40, 27);
  for (const auto& [w, h] : {std::pair{17U, 11U}, {90U, 61U}, {17U, 60U}, {80U, 9U}}) {
    const auto out = *resample(picture, w, h, resampling::bicubic);
    // Rows are rounded between the passes; the definition is not.
    std::vector<std::vector<double>> rows;
    for (std::size_t y = 0; y < 27; ++y) {
      std::vector<double> row;
      for (std::size_t x = 0; x < 40; ++x)
        row.push_back(static_cast<unsigned char>(picture.pixels[(y * 40 + x) * 3]));
      rows.push_back(std::move(row));
    }
    const bool columns_first = w > 40 && h < 27;
    const auto along_columns = [](const std::vector<std::vector<double>>& in, std::size_t to) {
      std::vector<std::vector<double>> done(to, std::vector<double>(in[0].size()));
      for (std::size_t x = 0; x < in[0].size(); ++x) {
        std::vector<double> column;
        for (const auto& row : in) column.push_back(row[x]);
        const auto scaled = keys(column, to);
        for (std::size_t y = 0; y < to; ++y) done[y][x] = scaled[y];
      }
      return done;
    };
    if (columns_first) rows = along_columns(rows, h);
    for (auto& row : rows) row = keys(row, w);
    if (!columns_first) rows = along_columns(rows, h);
    double worst = 0;
    for (std::size_t y = 0; y < h; ++y) {
      for (std::size_t x = 0; x < w; ++x) {
        const double got = static_cast<unsigned char>(out.pixels[(y * w + x) * 3]);
        worst = std::max(worst, std::abs(got - rows[y][x]));
      }
    }
    EXPECT_LT(worst, 1.3) << w << "x" << h;
  }
}

TEST(resample, coarser_weights_change_a_value_by_one_at_the_most_a_pass) {
  const auto picture = noise(37, 23);
  const auto fine = reds(*resample(picture, 16, 51, resampling::bicubic));
  const auto coarse =
      reds(*resample(picture, 16, 51, resampling::bicubic, weight_places::torchvision));
  int differing = 0;
  for (std::size_t i = 0; i < fine.size(); ++i) {
    EXPECT_LE(std::abs(fine[i] - coarse[i]), 2);
    differing += fine[i] == coarse[i] ? 0 : 1;
  }
  EXPECT_GT(differing, 0);
  EXPECT_LT(differing * 10, static_cast<int>(fine.size()));
}

TEST(resample, refuses_sizes_that_no_picture_has) {
  const auto picture = noise(4, 4);
  for (const auto& [w, h] : {std::pair{0U, 4U}, {4U, 0U}, {max_image_side + 1, 4U}}) {
    const auto out = resample(picture, w, h, resampling::bicubic);
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code, ec::too_large);
  }
  EXPECT_FALSE(resample({4, 4, "short"}, 2, 2, resampling::bicubic));
}

}  // namespace
}  // namespace lp::pipelines
