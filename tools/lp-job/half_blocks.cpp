// SPDX-License-Identifier: MIT
#include "tools/lp-job/half_blocks.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace lp::job {

namespace {

struct rgb {
  int r, g, b;
};

rgb pixel(const picture& p, int x, int y) {
  const auto at = (static_cast<std::size_t>(y) * static_cast<std::size_t>(p.width) +
                   static_cast<std::size_t>(x)) *
                  3;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(p.rgb[at + i]); };
  return {byte(0), byte(1), byte(2)};
}

// xterm's palette: 16 + a cube of 6x6x6 with the levels 0, 95, 135, ... 255, then 24 greys from 8
// in steps of 10.
int nearest_in_palette(rgb c) {
  const auto level = [](int v) { return v < 48 ? 0 : v < 115 ? 1 : (v - 35) / 40; };
  const auto value = [](int l) { return l == 0 ? 0 : 55 + 40 * l; };
  const auto distance = [&](int r, int g, int b) {
    return (c.r - r) * (c.r - r) + (c.g - g) * (c.g - g) + (c.b - b) * (c.b - b);
  };
  const int r = level(c.r), g = level(c.g), b = level(c.b);
  const int grey = std::clamp(((c.r + c.g + c.b) / 3 - 3) / 10, 0, 23);
  const int shade = 8 + 10 * grey;
  if (distance(shade, shade, shade) < distance(value(r), value(g), value(b))) return 232 + grey;
  return 16 + 36 * r + 6 * g + b;
}

std::string colour_code(int ground, rgb c, colours depth) {
  if (depth == colours::palette) return fmt::format("\x1b[{};5;{}m", ground, nearest_in_palette(c));
  return fmt::format("\x1b[{};2;{};{};{}m", ground, c.r, c.g, c.b);
}

void change(std::string& current, std::string code, std::string& out) {
  if (current == code) return;
  out += code;
  current = std::move(code);
}

}  // namespace

result<std::string> half_blocks(const picture& p, int columns, int rows, colours depth) {
  const double factor = std::min(
      {1.0, static_cast<double>(columns) / p.width, 2.0 * static_cast<double>(rows) / p.height});
  const int width = std::max(1, static_cast<int>(p.width * factor));
  const int height = std::max(1, static_cast<int>(p.height * factor));
  const auto small = scaled(p, width, height);
  if (!small) return fail(small.error());
  constexpr int text_colour = 38, ground_colour = 48;
  std::string out;
  for (int y = 0; y < height; y += 2) {
    std::string upper, lower;  // the codes in effect
    for (int x = 0; x < width; ++x) {
      change(upper, colour_code(text_colour, pixel(*small, x, y), depth), out);
      if (y + 1 < height) {
        change(lower, colour_code(ground_colour, pixel(*small, x, y + 1), depth), out);
      }
      out += "▀";
    }
    out += "\x1b[0m\n";
  }
  return out;
}

}  // namespace lp::job
