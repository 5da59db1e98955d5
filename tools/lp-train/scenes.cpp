// SPDX-License-Identifier: MIT
// Which scenes there are and what is said about them.
#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "tools/lp-train/drawing.hpp"

namespace lp::drawing {
namespace {

// Centres lie on a grid of half a latent cell and radii are three: the model's work is to paint
// what is said, not to render every size and position there is.
constexpr std::array<double, 3> radii{12, 16, 20};
constexpr std::array<double, 3> offsets{16, 12, 8};  // of a place beside the middle, by size
constexpr double pair_offset = 16;

int colour_count() {
  return static_cast<int>(palette().size());
}

// -1, 0, +1: before, in and after the middle along one axis.
std::pair<int, int> direction(place p) {
  switch (p) {
    case place::left:
      return {-1, 0};
    case place::right:
      return {1, 0};
    case place::top:
      return {0, -1};
    case place::bottom:
      return {0, 1};
    case place::top_left:
      return {-1, -1};
    case place::top_right:
      return {1, -1};
    case place::bottom_left:
      return {-1, 1};
    case place::bottom_right:
      return {1, 1};
    case place::unsaid:
    case place::centre:
      break;
  }
  return {0, 0};
}

object single_object(random& r) {
  object o;
  o.form = static_cast<shape>(r.below(shape_count));
  o.colour = r.below(colour_count());
  o.said_size = r.chance(0.5) ? size::unsaid : static_cast<size>(1 + r.below(3));
  o.said_place = r.chance(0.5) ? place::unsaid : static_cast<place>(1 + r.below(place_count - 1));
  const int step = o.said_size == size::unsaid ? r.below(3) : static_cast<int>(o.said_size) - 1;
  settle(o, static_cast<size>(1 + step), o.said_place);
  return o;
}

scene any_scene(random& r, bool pair) {
  scene s;
  s.background = r.below(colour_count());
  if (!pair) {
    s.objects = {single_object(r)};
    return s;
  }
  s.order = r.chance(0.5) ? arrangement::beside : arrangement::above;
  for (const double offset : {-pair_offset, pair_offset}) {
    object o;
    o.form = static_cast<shape>(r.below(shape_count));
    o.colour = r.below(colour_count());
    o.radius = radii.front();
    o.x = canvas / 2 + (s.order == arrangement::beside ? offset : 0);
    o.y = canvas / 2 + (s.order == arrangement::above ? offset : 0);
    s.objects.push_back(o);
  }
  return s;
}

bool distinct_colours(const scene& s) {
  std::set<int> seen{s.background};
  for (const auto& o : s.objects) {
    if (!seen.insert(o.colour).second) return false;
  }
  return true;
}

scene sample(random& r, bool pair, bool want_held_out) {
  for (;;) {
    scene s = any_scene(r, pair);
    if (distinct_colours(s) && held_out(s) == want_held_out) return s;
  }
}

template <std::size_t N>
std::string_view pick(const std::string_view (&words)[N], random& r) {
  return words[static_cast<std::size_t>(r.below(static_cast<int>(N)))];
}

std::string_view colour_name(int index) {
  return palette()[static_cast<std::size_t>(index)].name;
}

std::string_view size_word(size s, random& r) {
  switch (s) {
    case size::small:
      return pick({"small ", "little "}, r);
    case size::medium:
      return "medium ";
    case size::large:
      return pick({"large ", "big "}, r);
    case size::unsaid:
      break;
  }
  return "";
}

std::string place_words(place p, random& r) {
  switch (p) {
    case place::unsaid:
      return "";
    case place::centre:
      return std::string(pick({" in the centre", " in the center", " in the middle"}, r));
    default:
      break;
  }
  constexpr std::array<std::string_view, place_count> names{
      "",       "",         "left",      "right",       "top",
      "bottom", "top left", "top right", "bottom left", "bottom right"};
  const auto name = names[static_cast<std::size_t>(p)];
  const bool corner = name.find(' ') != std::string_view::npos;
  if (corner && r.chance(0.4)) return fmt::format(" in the {} corner", name);
  return fmt::format(" {} the {}", pick({"at", "on"}, r), name);
}

std::string noun(const object& o, random& r) {
  return fmt::format("{}{} {}", size_word(o.said_size, r), colour_name(o.colour),
                     to_string(o.form));
}

std::string with_article(const std::string& words) {
  return (words.front() == 'o' ? "an " : "a ") + words;
}

std::string single_caption(const scene& s, random& r, bool may_omit_background) {
  const auto& o = s.objects.front();
  const std::string what = noun(o, r), a = with_article(what), where = place_words(o.said_place, r);
  const auto ground = std::string(colour_name(s.background));
  if (may_omit_background && r.chance(0.06)) return a + where;
  switch (r.below(8)) {
    case 0:
      return fmt::format("{}{} on {} background", what, where, with_article(ground));
    case 1:
      return fmt::format("{} background with {}{}", with_article(ground), a, where);
    case 2:
      return fmt::format("{} background with {}{}", ground, a, where);
    case 3:
      return fmt::format("{}{} on {}", a, where, ground);
    case 4:
      return fmt::format("a picture of {}{} on {} background", a, where, with_article(ground));
    case 5:
      return fmt::format("{}{}, {} background", what, where, ground);
    default:
      return fmt::format("{}{} on {} background", a, where, with_article(ground));
  }
}

std::string pair_caption(const scene& s, random& r) {
  const auto first = with_article(noun(s.objects[0], r));
  const auto second = with_article(noun(s.objects[1], r));
  const bool beside = s.order == arrangement::beside;
  const std::string ground(colour_name(s.background));
  const auto on =
      r.chance(0.3) ? " on " + ground : fmt::format(" on {} background", with_article(ground));
  switch (r.below(4)) {
    case 0:
      return fmt::format("{} and {}{}", first, second, on);
    case 1:
      return fmt::format("{} {} {}{}", first, beside ? "to the left of" : "above", second, on);
    case 2:
      return fmt::format("{} {} {}{}", second, beside ? "to the right of" : "below", first, on);
    default:
      return fmt::format("{} background with {} {} and {} {}", with_article(ground), first,
                         beside ? "on the left" : "at the top", second,
                         beside ? "on the right" : "at the bottom");
  }
}

}  // namespace

bool held_out(const scene& s) {
  std::uint64_t key =
      static_cast<std::uint64_t>(s.order) * 8 + static_cast<std::uint64_t>(s.background);
  for (const auto& o : s.objects) {
    for (const int part : {static_cast<int>(o.form), o.colour, static_cast<int>(o.said_size),
                           static_cast<int>(o.said_place)}) {
      key = key * 16 + static_cast<std::uint64_t>(part);
    }
  }
  return random(key).next() % 8 == 0;
}

void settle(object& o, size s, place p) {
  const auto step = static_cast<std::size_t>(s) - 1;
  const auto [dx, dy] = direction(p);
  o.radius = radii[step];
  o.x = canvas / 2 + dx * offsets[step];
  o.y = canvas / 2 + dy * offsets[step];
}

scene training_scene(random& r) {
  return sample(r, r.chance(0.2), false);
}

scene crowded_scene(random& r) {
  scene s;
  s.background = r.below(colour_count());
  const auto count = static_cast<std::size_t>(1 + r.below(4));
  while (s.objects.size() < count) {
    object o;
    o.form = static_cast<shape>(r.below(shape_count));
    o.colour = r.below(colour_count());
    o.radius = r.uniform(9, 22);
    o.x = r.uniform(4, canvas - 4);
    o.y = r.uniform(4, canvas - 4);
    if (o.colour != s.background) s.objects.push_back(o);
  }
  return s;
}

scene held_out_scene(random& r, bool pair) {
  return sample(r, pair, true);
}

std::string caption(const scene& s, random& r, bool may_omit_background) {
  return s.order == arrangement::single ? single_caption(s, r, may_omit_background)
                                        : pair_caption(s, r);
}

namespace {

std::vector<task> tasks(int count, std::uint64_t seed, bool pairs, bool want_held_out) {
  random r(seed);
  std::set<std::string> seen;
  std::vector<task> out;
  while (static_cast<int>(out.size()) < count) {
    task t{sample(r, pairs, want_held_out), {}};
    t.prompt = caption(t.wanted, r);
    if (seen.insert(t.prompt).second) out.push_back(std::move(t));
  }
  return out;
}

}  // namespace

bool says_arrangement(std::string_view caption) {
  constexpr std::array<std::string_view, 6> words{"left",  "right", "above",
                                                  "below", "top",   "bottom"};
  return std::ranges::any_of(
      words, [&](auto word) { return caption.find(word) != std::string_view::npos; });
}

std::vector<task> held_out_tasks(int count, std::uint64_t seed, bool pairs) {
  return tasks(count, seed, pairs, true);
}

std::vector<task> training_tasks(int count, std::uint64_t seed) {
  return tasks(count, seed, false, false);
}

}  // namespace lp::drawing
