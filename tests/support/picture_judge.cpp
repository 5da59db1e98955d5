// SPDX-License-Identifier: MIT
#include "tests/support/picture_judge.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace lp::testing {
namespace {

using rgb = std::array<double, 3>;

constexpr double speck_share = 0.006;  // of the picture's area; smaller areas are not looked at
constexpr double foreground = 45;      // distance in RGB from the background's own colour

rgb pixel(const picture_view& p, int x, int y) {
  const auto at = static_cast<std::size_t>((y * p.width + x) * 3);
  return {double(p.rgb[at]), double(p.rgb[at + 1]), double(p.rgb[at + 2])};
}

double distance(const rgb& a, const rgb& b) {
  return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

int nearest_colour(const rgb& c) {
  const auto palette = drawing::palette();
  int best = 0;
  double least = 1e18;
  for (std::size_t i = 0; i < palette.size(); ++i) {
    const auto& p = palette[i].rgb;
    const double d = distance(c, {double(p[0]), double(p[1]), double(p[2])});
    if (d < least) {
      least = d;
      best = static_cast<int>(i);
    }
  }
  return best;
}

// The commonest palette colour of some pixels, and the mean of the pixels that are nearest to it.
std::pair<int, rgb> dominant(const std::vector<rgb>& pixels) {
  std::vector<int> count(drawing::palette().size(), 0);
  std::vector<rgb> sum(count.size(), rgb{});
  for (const auto& p : pixels) {
    const auto i = static_cast<std::size_t>(nearest_colour(p));
    ++count[i];
    for (std::size_t c = 0; c < 3; ++c) sum[i][c] += p[c];
  }
  const auto best = static_cast<std::size_t>(std::ranges::max_element(count) - count.begin());
  const double n = std::max(count[best], 1);
  return {static_cast<int>(best), {sum[best][0] / n, sum[best][1] / n, sum[best][2] / n}};
}

// Lists of pixel indices of the 4-connected areas of `mask`, largest first.
std::vector<std::vector<int>> areas(std::vector<bool> mask, int width, int height) {
  std::vector<std::vector<int>> found;
  for (int start = 0; start < width * height; ++start) {
    if (!mask[static_cast<std::size_t>(start)]) continue;
    std::vector<int> area{start};
    mask[static_cast<std::size_t>(start)] = false;
    for (std::size_t i = 0; i < area.size(); ++i) {
      const int x = area[i] % width, y = area[i] / width;
      for (const auto& [dx, dy] : {std::pair{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) {
        const int nx = x + dx, ny = y + dy;
        if (nx < 0 || ny < 0 || nx >= width || ny >= height) continue;
        const int next = ny * width + nx;
        if (!mask[static_cast<std::size_t>(next)]) continue;
        mask[static_cast<std::size_t>(next)] = false;
        area.push_back(next);
      }
    }
    found.push_back(std::move(area));
  }
  std::ranges::sort(found, std::greater{}, [](const auto& a) { return a.size(); });
  return found;
}

// How much of each pixel of a window the object covers: 0 is the background, 1 the object.
struct soft_mask {
  int x0, y0, width, height;
  std::vector<double> share;
};

soft_mask measure(const picture_view& p, const std::vector<int>& area, const rgb& ground,
                  const rgb& paint) {
  soft_mask m{p.width, p.height, 0, 0, {}};
  int x1 = 0, y1 = 0;
  for (const int i : area) {
    m.x0 = std::min(m.x0, i % p.width);
    m.y0 = std::min(m.y0, i / p.width);
    x1 = std::max(x1, i % p.width);
    y1 = std::max(y1, i / p.width);
  }
  // One pixel more on each side, for the edge that is too faint to belong to the area.
  m.x0 = std::max(m.x0 - 1, 0);
  m.y0 = std::max(m.y0 - 1, 0);
  m.width = std::min(x1 + 2, p.width) - m.x0;
  m.height = std::min(y1 + 2, p.height) - m.y0;
  const double length = std::max(distance(paint, ground), 1.0);
  for (int y = 0; y < m.height; ++y) {
    for (int x = 0; x < m.width; ++x) {
      const rgb c = pixel(p, m.x0 + x, m.y0 + y);
      double dot = 0;
      for (std::size_t k = 0; k < 3; ++k) dot += (c[k] - ground[k]) * (paint[k] - ground[k]);
      m.share.push_back(std::clamp(dot / (length * length), 0.0, 1.0));
    }
  }
  return m;
}

// Where the mask begins along one axis, to a fraction of a pixel: the strongest coverage in the
// outermost row that reaches half says how far the edge lies from that row's inner side.
drawing::box bounds(const soft_mask& m) {
  std::vector<double> column(static_cast<std::size_t>(m.width), 0);
  std::vector<double> row(static_cast<std::size_t>(m.height), 0);
  for (int y = 0; y < m.height; ++y) {
    for (int x = 0; x < m.width; ++x) {
      const double s = m.share[static_cast<std::size_t>(y * m.width + x)];
      auto& c = column[static_cast<std::size_t>(x)];
      auto& r = row[static_cast<std::size_t>(y)];
      c = std::max(c, s);
      r = std::max(r, s);
    }
  }
  const auto first = [](const std::vector<double>& v) {
    std::size_t i = 0;
    while (i + 1 < v.size() && v[i] < 0.25) ++i;
    return static_cast<double>(i) + 1 - v[i];
  };
  const auto last = [](const std::vector<double>& v) {
    std::size_t i = v.size() - 1;
    while (i > 0 && v[i] < 0.25) --i;
    return static_cast<double>(i) + v[i];
  };
  return {first(column), first(row), last(column), last(row)};
}

double overlap_with(const soft_mask& m, const drawing::box& b, drawing::shape form) {
  const auto e = drawing::extent(form);
  drawing::object ideal;
  ideal.form = form;
  ideal.radius = ((b.x1 - b.x0) / (e.x1 - e.x0) + (b.y1 - b.y0) / (e.y1 - e.y0)) / 2;
  ideal.x = (b.x0 + b.x1) / 2 - (e.x0 + e.x1) / 2 * ideal.radius;
  ideal.y = (b.y0 + b.y1) / 2 - (e.y0 + e.y1) / 2 * ideal.radius;
  double both = 0, either = 0;
  for (int y = 0; y < m.height; ++y) {
    for (int x = 0; x < m.width; ++x) {
      const double seen = m.share[static_cast<std::size_t>(y * m.width + x)];
      const double wanted = drawing::coverage(ideal, x + 0.5, y + 0.5, 1);
      both += std::min(seen, wanted);
      either += std::max(seen, wanted);
    }
  }
  return either > 0 ? both / either : 0;
}

seen_object recognise(const picture_view& p, const std::vector<int>& area, const rgb& ground) {
  std::vector<rgb> pixels;
  pixels.reserve(area.size());
  for (const int i : area) pixels.push_back(pixel(p, i % p.width, i / p.width));
  const auto [colour, paint] = dominant(pixels);
  const auto mask = measure(p, area, ground, paint);
  const auto b = bounds(mask);
  seen_object o;
  o.colour = colour;
  o.pixels = static_cast<int>(area.size());
  o.x0 = mask.x0 + b.x0;
  o.y0 = mask.y0 + b.y0;
  o.x1 = mask.x0 + b.x1;
  o.y1 = mask.y0 + b.y1;
  for (int i = 0; i < drawing::shape_count; ++i) {
    const auto form = static_cast<drawing::shape>(i);
    if (const double overlap = overlap_with(mask, b, form); overlap > o.overlap) {
      o.overlap = overlap;
      o.form = form;
    }
  }
  return o;
}

bool matches(const seen_object& seen, const drawing::object& wanted) {
  return seen.colour == wanted.colour && seen.form == wanted.form && seen.overlap >= clear_shape;
}

bool in_place(const seen_object& seen, drawing::place wanted, const picture_view& p) {
  using drawing::place;
  if (wanted == place::unsaid) return true;
  const double x = (seen.x0 + seen.x1) / 2 / p.width - 0.5;
  const double y = (seen.y0 + seen.y1) / 2 / p.height - 0.5;
  // Large shapes are moved by no more than an eighth of the picture.
  const auto side = [](double v) { return v < -0.055 ? -1 : v > 0.055 ? 1 : 0; };
  static constexpr std::array<std::pair<int, int>, drawing::place_count> sides{
      {{0, 0}, {0, 0}, {-1, 0}, {1, 0}, {0, -1}, {0, 1}, {-1, -1}, {1, -1}, {-1, 1}, {1, 1}}};
  return sides[static_cast<std::size_t>(wanted)] == std::pair{side(x), side(y)};
}

}  // namespace

seen_picture look(const picture_view& p) {
  std::vector<rgb> border;
  for (int y = 0; y < p.height; ++y) {
    for (int x = 0; x < p.width; ++x) {
      if (std::min({x, y, p.width - 1 - x, p.height - 1 - y}) < 2) border.push_back(pixel(p, x, y));
    }
  }
  const auto [background, ground] = dominant(border);
  std::vector<bool> mask(static_cast<std::size_t>(p.width * p.height));
  for (int i = 0; i < p.width * p.height; ++i) {
    mask[static_cast<std::size_t>(i)] =
        distance(pixel(p, i % p.width, i / p.width), ground) > foreground;
  }
  seen_picture out;
  out.background = background;
  for (const auto& area : areas(std::move(mask), p.width, p.height)) {
    if (static_cast<double>(area.size()) < speck_share * p.width * p.height) break;
    out.objects.push_back(recognise(p, area, ground));
  }
  return out;
}

verdict judge(const drawing::scene& wanted, const picture_view& picture) {
  const auto seen = look(picture);
  verdict v;
  v.background = seen.background == wanted.background;
  if (seen.objects.empty()) return v;
  const auto& o = seen.objects.front();
  const auto& w = wanted.objects.front();
  const bool alone = seen.objects.size() == 1 || seen.objects[1].pixels * 6 <= o.pixels;
  v.colour = o.colour == w.colour;
  v.shape = alone && o.form == w.form && o.overlap >= clear_shape;
  v.place = in_place(o, w.said_place, picture);
  return v;
}

bool judge_pair(const drawing::scene& wanted, const picture_view& picture) {
  auto seen = look(picture);
  if (seen.background != wanted.background || seen.objects.size() < 2) return false;
  if (seen.objects.size() > 2 && seen.objects[2].pixels * 6 > seen.objects[1].pixels) return false;
  seen.objects.resize(2);
  const bool beside = wanted.order == drawing::arrangement::beside;
  std::ranges::sort(seen.objects, {}, [&](const seen_object& o) { return beside ? o.x0 : o.y0; });
  return matches(seen.objects[0], wanted.objects[0]) && matches(seen.objects[1], wanted.objects[1]);
}

}  // namespace lp::testing
