// SPDX-License-Identifier: MIT
// The pictures that the embedded model learns from: flat shapes on a flat background, drawn from
// signed distances with antialiased edges, and captions that say what is on them. Everything
// follows from a seed, alike on every platform. No torch here.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lp::drawing {

/// splitmix64 (Steele, Lea, Flood 2014): small, and the same numbers everywhere, which the standard
/// library's distributions do not promise.
class random {
 public:
  explicit random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  int below(int bound);                     ///< uniform in 0..bound-1
  double uniform(double low, double high);  ///< uniform in [low, high)
  bool chance(double probability) { return uniform(0, 1) < probability; }

 private:
  std::uint64_t state_;
};

struct colour {
  std::string_view name;
  std::array<std::uint8_t, 3> rgb;
};

/// The eight colours that shapes and backgrounds take.
std::span<const colour> palette();

enum class shape { circle, square, triangle, star, ring };
inline constexpr int shape_count = 5;
std::string_view to_string(shape s);

enum class size { unsaid, small, medium, large };
enum class place {
  unsaid,
  centre,
  left,
  right,
  top,
  bottom,
  top_left,
  top_right,
  bottom_left,
  bottom_right
};
inline constexpr int place_count = 10;

/// Coordinates of all drawings are on a canvas of this side, y downwards; a raster may be finer.
inline constexpr double canvas = 64;

struct object {
  shape form = shape::circle;
  int colour = 0;  ///< index into palette()
  double x = 0;    ///< of the centre
  double y = 0;
  double radius = 0;
  size said_size = size::unsaid;  ///< what a caption may say
  place said_place = place::unsaid;
};

enum class arrangement { single, beside, above };

struct scene {
  int background = 0;  ///< index into palette()
  arrangement order = arrangement::single;
  std::vector<object> objects;  ///< one; or two: the left and the right, the upper and the lower
};

/// Corners of the box round a shape of radius 1 at the origin.
struct box {
  double x0, y0, x1, y1;
};
box extent(shape s);

/// Distance from (x, y) to the outline of a shape of radius 1 at the origin; negative inside.
double signed_distance(shape s, double x, double y);

/// Share of the square pixel of side `pixel` at (x, y) that the object covers, 0..1.
double coverage(const object& o, double x, double y, double pixel);

/// RGB8, row by row, side x side pixels.
std::vector<std::uint8_t> draw(const scene& s, int side = 64);

/// Whether training never sees that scene: one in eight, by a hash of what is said of it (forms,
/// colours, background, sizes, places, arrangement). A combination of shape, colour and background
/// is seen in training with other sizes and places; were it kept out as a whole, the model would
/// learn that it does not occur.
bool held_out(const scene& s);

/// Gives an object of a said size and place its radius and its centre.
void settle(object& o, size s, place p);

/// Any scene that is not held out. One in five has two objects.
scene training_scene(random& r);

/// One to four objects of any size anywhere, over one another: for the autoencoder, which learns
/// from edges.
scene crowded_scene(random& r);

/// A scene that is held out, of one object or of two.
scene held_out_scene(random& r, bool pair);

/// A picture of one object and what somebody wants made of it.
struct edit {
  scene before;
  scene after;  ///< says what differs, and not always the size and the place where they stay
  bool background_stays = true;
};

/// Any edit whose `after` is not held out.
edit training_edit(random& r);

/// What an edit task changes; everything else stays.
enum class change { colour, background, form, place };
inline constexpr int change_count = 4;
std::string_view to_string(change c);

/// A caption that is true of the scene, in one of several wordings. Some (only with
/// `may_omit_background`) leave the background unsaid.
std::string caption(const scene& s, random& r, bool may_omit_background = false);

struct task {
  scene wanted;
  std::string prompt;
};

/// Whether a caption of two objects says how they lie; "a red circle and a blue star" does not.
bool says_arrangement(std::string_view caption);

/// `count` different prompts about held-out scenes, always the same for a seed.
std::vector<task> held_out_tasks(int count, std::uint64_t seed, bool pairs = false);

struct edit_task {
  scene before;
  task after;  ///< held out; `wanted` says the place in any case, the prompt only if it changes
};

/// `count` edits that change one thing, always the same for a seed.
std::vector<edit_task> edit_tasks(int count, std::uint64_t seed, change c);

/// As held_out_tasks(), about scenes with one object that training may see.
std::vector<task> training_tasks(int count, std::uint64_t seed);

}  // namespace lp::drawing
