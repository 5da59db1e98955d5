// SPDX-License-Identifier: MIT
// Looks at a picture of flat shapes and says what is on it, from its pixels alone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tools/lp-train/drawing.hpp"

namespace lp::testing {

/// RGB8 pixels, row by row.
struct picture_view {
  std::span<const std::uint8_t> rgb;
  int width = 0;
  int height = 0;
};

/// A connected area that differs from the background.
struct seen_object {
  int colour = 0;  ///< nearest colour of drawing::palette()
  drawing::shape form = drawing::shape::circle;
  double overlap = 0;  ///< with an ideal shape of that form in the same box, 0..1
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;  ///< its box in pixels
  int pixels = 0;
};

struct seen_picture {
  int background = 0;                ///< nearest palette colour of the border
  std::vector<seen_object> objects;  ///< largest first; specks are left out
};

seen_picture look(const picture_view& picture);

/// Whether a picture shows what was asked for. An object whose overlap with every ideal shape is
/// below `clear_shape` counts as no shape at all.
struct verdict {
  bool background = false;
  bool colour = false;
  bool shape = false;
  bool place = false;  ///< where a place was said; true where none was
  bool right() const { return background && colour && shape; }
};
inline constexpr double clear_shape = 0.75;

/// For scenes with one object. A second object of more than a sixth of the first one's size makes
/// the shape wrong.
verdict judge(const drawing::scene& wanted, const picture_view& picture);

/// For scenes with two objects: both are there with colour and shape, in the said arrangement.
bool judge_pair(const drawing::scene& wanted, const picture_view& picture);

}  // namespace lp::testing
