// SPDX-License-Identifier: MIT
#include "tools/lp-train/drawing.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lp::drawing {
namespace {

constexpr std::array<colour, 8> colours{{
    {"red", {220, 35, 40}},
    {"orange", {250, 140, 20}},
    {"yellow", {250, 225, 50}},
    {"green", {35, 160, 65}},
    {"blue", {40, 75, 220}},
    {"purple", {145, 50, 185}},
    {"white", {245, 245, 245}},
    {"black", {20, 20, 25}},
}};

constexpr double square_half = 0.88;
constexpr double ring_inner = 0.55;
constexpr double star_inner = 0.46;

struct point {
  double x, y;
};

const std::vector<point>& triangle_corners() {
  static const std::vector<point> corners{{0, -0.95}, {1.05, 0.85}, {-1.05, 0.85}};
  return corners;
}

const std::vector<point>& star_corners() {
  static const std::vector<point> corners = [] {
    std::vector<point> out;
    for (int i = 0; i < 10; ++i) {
      const double radius = (i % 2 == 0 ? 1.0 : star_inner) * 1.1;
      const double angle = std::numbers::pi * (i / 5.0 - 0.5);
      out.push_back({radius * std::cos(angle), radius * std::sin(angle)});
    }
    return out;
  }();
  return corners;
}

// The nearest edge gives the distance, the crossing number the sign.
double polygon_distance(const std::vector<point>& corners, double x, double y) {
  double nearest = 1e18;
  bool inside = false;
  for (std::size_t i = 0, j = corners.size() - 1; i < corners.size(); j = i++) {
    const auto [ax, ay] = corners[i];
    const auto [bx, by] = corners[j];
    const double ex = bx - ax, ey = by - ay, px = x - ax, py = y - ay;
    const double along = std::clamp((px * ex + py * ey) / (ex * ex + ey * ey), 0.0, 1.0);
    const double dx = px - ex * along, dy = py - ey * along;
    nearest = std::min(nearest, dx * dx + dy * dy);
    if ((ay > y) != (by > y) && x < ex * (y - ay) / ey + ax) inside = !inside;
  }
  return inside ? -std::sqrt(nearest) : std::sqrt(nearest);
}

box polygon_extent(const std::vector<point>& corners) {
  box b{1e18, 1e18, -1e18, -1e18};
  for (const auto& [x, y] : corners) {
    b = {std::min(b.x0, x), std::min(b.y0, y), std::max(b.x1, x), std::max(b.y1, y)};
  }
  return b;
}

}  // namespace

std::uint64_t random::next() {
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

int random::below(int bound) {
  return static_cast<int>(next() % static_cast<std::uint64_t>(bound));
}

double random::uniform(double low, double high) {
  return low + (high - low) * static_cast<double>(next() >> 11) * 0x1.0p-53;
}

std::span<const colour> palette() {
  return colours;
}

std::string_view to_string(shape s) {
  constexpr std::array<std::string_view, shape_count> names{"circle", "square", "triangle", "star",
                                                            "ring"};
  return names[static_cast<std::size_t>(s)];
}

box extent(shape s) {
  switch (s) {
    case shape::square:
      return {-square_half, -square_half, square_half, square_half};
    case shape::triangle:
      return polygon_extent(triangle_corners());
    case shape::star:
      return polygon_extent(star_corners());
    case shape::circle:
    case shape::ring:
      break;
  }
  return {-1, -1, 1, 1};
}

double signed_distance(shape s, double x, double y) {
  switch (s) {
    case shape::circle:
      return std::sqrt(x * x + y * y) - 1;
    case shape::square: {
      const double dx = std::abs(x) - square_half, dy = std::abs(y) - square_half;
      const double ox = std::max(dx, 0.0), oy = std::max(dy, 0.0);
      return std::sqrt(ox * ox + oy * oy) + std::min(std::max(dx, dy), 0.0);
    }
    case shape::triangle:
      return polygon_distance(triangle_corners(), x, y);
    case shape::star:
      return polygon_distance(star_corners(), x, y);
    case shape::ring:
      break;
  }
  constexpr double middle = (1 + ring_inner) / 2, half_width = (1 - ring_inner) / 2;
  return std::abs(std::sqrt(x * x + y * y) - middle) - half_width;
}

double coverage(const object& o, double x, double y, double pixel) {
  const double reach = o.radius * 1.2 + pixel;
  if (std::abs(x - o.x) > reach || std::abs(y - o.y) > reach) return 0;
  const double distance =
      signed_distance(o.form, (x - o.x) / o.radius, (y - o.y) / o.radius) * o.radius;
  return std::clamp(0.5 - distance / pixel, 0.0, 1.0);
}

std::vector<std::uint8_t> draw(const scene& s, int side) {
  std::vector<std::uint8_t> out;
  out.reserve(static_cast<std::size_t>(side * side * 3));
  const double pixel = canvas / side;
  for (int row = 0; row < side; ++row) {
    for (int column = 0; column < side; ++column) {
      const auto& ground = colours[static_cast<std::size_t>(s.background)].rgb;
      std::array<double, 3> value{double(ground[0]), double(ground[1]), double(ground[2])};
      for (const auto& o : s.objects) {
        const double share = coverage(o, (column + 0.5) * pixel, (row + 0.5) * pixel, pixel);
        const auto& paint = colours[static_cast<std::size_t>(o.colour)].rgb;
        for (std::size_t c = 0; c < 3; ++c) value[c] += share * (paint[c] - value[c]);
      }
      for (const double v : value) out.push_back(static_cast<std::uint8_t>(std::lround(v)));
    }
  }
  return out;
}

}  // namespace lp::drawing
