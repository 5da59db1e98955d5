// SPDX-License-Identifier: MIT
// Pictures and what is wanted of them: for image to image.
#include <array>
#include <set>

#include "tools/lp-train/drawing.hpp"

namespace lp::drawing {
namespace {

template <class T>
T any(random& r, T first, int count) {
  return static_cast<T>(static_cast<int>(first) + r.below(count));
}

size any_size(random& r) {
  return any(r, size::small, 3);
}

// Half of all pictures have their object in the middle, as those without a said place have.
place any_place(random& r) {
  return r.chance(0.5) ? place::centre : any(r, place::left, place_count - 2);
}

/// A scene that says its size and its place.
scene plain_scene(random& r) {
  const auto colours = static_cast<int>(palette().size());
  scene s;
  s.background = r.below(colours);
  object o;
  o.form = any(r, shape::circle, shape_count);
  o.colour = (s.background + 1 + r.below(colours - 1)) % colours;
  o.said_size = any_size(r);
  o.said_place = any_place(r);
  settle(o, o.said_size, o.said_place);
  s.objects = {o};
  return s;
}

bool differ(const scene& a, const scene& b) {
  const auto &x = a.objects.front(), &y = b.objects.front();
  return a.background != b.background || x.form != y.form || x.colour != y.colour ||
         x.said_size != y.said_size || x.said_place != y.said_place;
}

edit any_edit(random& r) {
  edit e{plain_scene(r), {}, true};
  for (;;) {
    e.after = e.before;
    const auto other = plain_scene(r);
    auto& o = e.after.objects.front();
    const auto& from = other.objects.front();
    if (r.chance(0.5)) o.form = from.form;
    if (r.chance(0.5)) o.colour = from.colour;
    if (r.chance(0.35)) e.after.background = other.background;
    if (r.chance(0.25)) o.said_size = from.said_size;
    if (r.chance(0.3)) o.said_place = from.said_place;
    if (o.colour != e.after.background && differ(e.before, e.after)) break;
  }
  auto& o = e.after.objects.front();
  const auto& was = e.before.objects.front();
  settle(o, o.said_size, o.said_place);
  e.background_stays = e.after.background == e.before.background;
  // What stays needs no word.
  if (o.said_size == was.said_size && r.chance(0.75)) o.said_size = size::unsaid;
  if (o.said_place == was.said_place && r.chance(0.75)) o.said_place = place::unsaid;
  return e;
}

void apply(change c, scene& to, const scene& from) {
  auto& o = to.objects.front();
  const auto& other = from.objects.front();
  switch (c) {
    case change::colour:
      o.colour = other.colour;
      break;
    case change::background:
      to.background = from.background;
      break;
    case change::form:
      o.form = other.form;
      break;
    case change::place:
      o.said_place = other.said_place;
      break;
  }
  settle(o, o.said_size, o.said_place);
}

}  // namespace

edit training_edit(random& r) {
  for (;;) {
    auto e = any_edit(r);
    if (!held_out(e.after)) return e;
  }
}

std::string_view to_string(change c) {
  constexpr std::array<std::string_view, change_count> names{"colour", "background", "form",
                                                             "place"};
  return names[static_cast<std::size_t>(c)];
}

std::vector<edit_task> edit_tasks(int count, std::uint64_t seed, change c) {
  random r(seed);
  std::vector<edit_task> out;
  while (static_cast<int>(out.size()) < count) {
    edit_task t{plain_scene(r), {}};
    t.after.wanted = t.before;
    apply(c, t.after.wanted, plain_scene(r));
    auto& o = t.after.wanted.objects.front();
    if (o.colour == t.after.wanted.background || !differ(t.before, t.after.wanted)) continue;
    auto said = t.after.wanted;
    said.objects.front().said_size = size::unsaid;
    if (c != change::place) said.objects.front().said_place = place::unsaid;
    if (!held_out(said)) continue;
    t.after.prompt = caption(said, r);
    out.push_back(std::move(t));
  }
  return out;
}

}  // namespace lp::drawing
