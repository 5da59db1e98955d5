// SPDX-License-Identifier: MIT
#include "pipelines/media/resample.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

namespace lp::pipelines {

namespace {

/// Binary places of a weight at the most: an 8-bit value times the weights' sum keeps 2 bits for
/// overshoot.
constexpr int most_places = 32 - 8 - 2;

double sinc(double x) {
  if (x == 0) return 1;
  return std::sin(x * std::numbers::pi) / (x * std::numbers::pi);
}

/// How far a filter reaches, in pixels of the larger picture's grid.
double support_of(resampling filter) {
  switch (filter) {
    case resampling::bilinear:
      return 1;
    case resampling::bicubic:
      return 2;
    case resampling::lanczos:
      return 3;
    case resampling::nearest:
      break;
  }
  return 0.5;
}

double weight_at(resampling filter, double x) {
  x = std::abs(x);
  if (x >= support_of(filter)) return 0;
  switch (filter) {
    case resampling::bilinear:
      return 1 - x;
    case resampling::bicubic: {
      constexpr double a = -0.5;
      return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : (((x - 5) * x + 8) * x - 4) * a;
    }
    case resampling::lanczos:
      return sinc(x) * sinc(x / 3);
    case resampling::nearest:
      break;
  }
  return 1;
}

/// What one pixel along an axis is made of: `weights` from pixel `first` on.
struct taps {
  std::size_t first = 0;
  std::vector<double> weights;
  std::vector<std::int32_t> whole{};  ///< the weights in fixed point
};

taps nearest_taps(std::uint32_t from, std::uint32_t to, std::uint32_t i) {
  const double place = (i + 0.5) * from / to;
  return {std::min<std::size_t>(static_cast<std::size_t>(place), from - 1), {1}};
}

taps taps_of(std::uint32_t from, std::uint32_t to, std::uint32_t i, resampling filter) {
  if (filter == resampling::nearest) return nearest_taps(from, to, i);
  const double scale = static_cast<double>(from) / to;
  const double widening = std::max(scale, 1.0);
  const double support = support_of(filter) * widening;
  const double center = (i + 0.5) * scale;
  const int first = std::max(0, static_cast<int>(center - support + 0.5));
  const int end = std::min(static_cast<int>(from), static_cast<int>(center + support + 0.5));
  taps out{static_cast<std::size_t>(first), {}};
  double sum = 0;
  for (int x = first; x < end; ++x) {
    out.weights.push_back(weight_at(filter, (x - center + 0.5) / widening));
    sum += out.weights.back();
  }
  for (double& w : out.weights) w = sum == 0 ? w : w / sum;
  return out;
}

/// One pass along an axis.
struct pass {
  std::vector<taps> pixels;
  int places = most_places;
};

/// The most places with which the largest weight still fits into 16 bits with its sign.
int places_in_16_bits(const std::vector<taps>& pixels) {
  double largest = 0;
  for (const taps& t : pixels)
    for (const double w : t.weights) largest = std::max(largest, w);
  int places = 0;
  while (places < most_places && 0.5 + std::ldexp(largest, places + 1) < (1 << 15)) ++places;
  return places;
}

pass plan(std::uint32_t from, std::uint32_t to, resampling filter, weight_places places) {
  pass out;
  out.pixels.reserve(to);
  for (std::uint32_t i = 0; i < to; ++i) out.pixels.push_back(taps_of(from, to, i, filter));
  if (places == weight_places::torchvision) out.places = places_in_16_bits(out.pixels);
  for (taps& t : out.pixels) {
    for (const double w : t.weights) {
      const double whole = std::ldexp(w, out.places);
      t.whole.push_back(static_cast<std::int32_t>(whole < 0 ? whole - 0.5 : whole + 0.5));
    }
  }
  return out;
}

/// One value: those `stride` apart from `from` on, weighed.
char weighed(const char* from, std::size_t stride, const taps& t, int places) {
  std::int32_t sum = 1 << (places - 1);
  for (const std::int32_t w : t.whole) {
    sum += w * static_cast<unsigned char>(*from);
    from += stride;
  }
  return static_cast<char>(std::clamp(sum >> places, 0, 255));
}

rgb_image to_width(const rgb_image& p, const pass& columns) {
  const auto width = static_cast<std::uint32_t>(columns.pixels.size());
  rgb_image out{width, p.height, std::string(std::size_t{3} * width * p.height, '\0')};
  char* to = out.pixels.data();
  for (std::size_t y = 0; y < p.height; ++y) {
    const char* row = p.pixels.data() + y * p.width * 3;
    for (const taps& t : columns.pixels) {
      for (std::size_t c = 0; c < 3; ++c)
        *to++ = weighed(row + t.first * 3 + c, 3, t, columns.places);
    }
  }
  return out;
}

rgb_image to_height(const rgb_image& p, const pass& rows) {
  const auto height = static_cast<std::uint32_t>(rows.pixels.size());
  const std::size_t row = std::size_t{3} * p.width;
  rgb_image out{p.width, height, std::string(row * height, '\0')};
  char* to = out.pixels.data();
  for (const taps& t : rows.pixels) {
    const char* from = p.pixels.data() + t.first * row;
    for (std::size_t x = 0; x < row; ++x) *to++ = weighed(from + x, row, t, rows.places);
  }
  return out;
}

}  // namespace

result<rgb_image> resample(const rgb_image& picture, std::uint32_t width, std::uint32_t height,
                           resampling filter, weight_places places) {
  for (const auto& [w, h] : {std::pair{picture.width, picture.height}, std::pair{width, height}}) {
    if (auto ok = check_size(w, h); !ok) return fail(ok.error());
  }
  if (picture.pixels.size() != std::size_t{3} * picture.width * picture.height)
    return fail(ec::internal, "a picture's bytes are not those of its size");
  const auto columns = plan(picture.width, width, filter, places);
  const auto rows = plan(picture.height, height, filter, places);
  if (width > picture.width && height < picture.height)
    return to_width(to_height(picture, rows), columns);
  auto out = width == picture.width ? picture : to_width(picture, columns);
  return height == out.height ? std::move(out) : to_height(out, rows);
}

}  // namespace lp::pipelines
