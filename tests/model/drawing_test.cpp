// SPDX-License-Identifier: MIT
#include <set>
#include <tuple>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "tests/support/picture_judge.hpp"
#include "tools/lp-train/drawing.hpp"

namespace lp {
namespace {

using drawing::held_out_tasks;
using drawing::task;
using testing::judge;

testing::picture_view view(const std::vector<std::uint8_t>& rgb) {
  return {rgb, 64, 64};
}

TEST(drawing, follows_from_the_seed) {
  for (std::uint64_t seed : {1, 2, 3}) {
    drawing::random a(seed), b(seed);
    const auto scene_a = drawing::training_scene(a), scene_b = drawing::training_scene(b);
    EXPECT_EQ(drawing::draw(scene_a), drawing::draw(scene_b));
    EXPECT_EQ(drawing::caption(scene_a, a), drawing::caption(scene_b, b));
  }
  drawing::random a(1), b(2);
  EXPECT_NE(drawing::draw(drawing::training_scene(a)), drawing::draw(drawing::training_scene(b)));
}

// Numbers of the published algorithm (https://prng.di.unimi.it/splitmix64.c), so that no platform
// draws other pictures.
TEST(drawing, random_numbers_are_splitmix64) {
  drawing::random r(1234567);
  EXPECT_EQ(r.next(), 6457827717110365317ULL);
  EXPECT_EQ(r.next(), 3203168211198807973ULL);
}

TEST(drawing, paints_what_the_scene_says) {
  drawing::scene s;
  s.background = 4;
  s.objects.push_back({drawing::shape::circle, 0, 32, 32, 16, {}, {}});
  const auto rgb = drawing::draw(s);
  const auto at = [&](int x, int y) {
    const auto i = static_cast<std::size_t>((y * 64 + x) * 3);
    return std::array<std::uint8_t, 3>{rgb[i], rgb[i + 1], rgb[i + 2]};
  };
  EXPECT_EQ(at(32, 32), drawing::palette()[0].rgb);
  EXPECT_EQ(at(2, 2), drawing::palette()[4].rgb);
  EXPECT_EQ(drawing::draw(s, 128).size(), 128U * 128 * 3);
}

TEST(drawing, keeps_held_out_scenes_from_training) {
  drawing::random r(7);
  std::set<std::tuple<drawing::shape, int, int>> trained;
  for (int i = 0; i < 5000; ++i) {
    const auto s = drawing::training_scene(r);
    ASSERT_FALSE(drawing::held_out(s));
    for (const auto& o : s.objects) {
      ASSERT_NE(o.colour, s.background);
      trained.emplace(o.form, o.colour, s.background);
    }
  }
  EXPECT_EQ(trained.size(), 5U * 8 * 7);  // every shape in every colour on every background
  std::set<std::string> prompts;
  for (const auto& t : held_out_tasks(400, 1)) {
    EXPECT_TRUE(drawing::held_out(t.wanted)) << t.prompt;
    prompts.insert(t.prompt);
  }
  EXPECT_EQ(prompts.size(), 400U);
}

TEST(drawing, some_captions_of_two_objects_leave_their_arrangement_open) {
  EXPECT_TRUE(drawing::says_arrangement("a red ring above a blue star on a white background"));
  EXPECT_TRUE(drawing::says_arrangement("a red ring to the left of a blue star on white"));
  EXPECT_FALSE(drawing::says_arrangement("a red ring and a blue star on a white background"));
}

TEST(drawing, captions_name_shape_colour_and_background) {
  for (const auto& t : held_out_tasks(200, 3)) {
    const auto& o = t.wanted.objects.front();
    const auto names = {drawing::to_string(o.form),
                        drawing::palette()[static_cast<std::size_t>(o.colour)].name,
                        drawing::palette()[static_cast<std::size_t>(t.wanted.background)].name};
    for (const auto name : names) EXPECT_NE(t.prompt.find(name), std::string::npos) << t.prompt;
  }
}

TEST(drawing, edits_change_what_they_say_and_nothing_else) {
  drawing::random r(5);
  for (int i = 0; i < 500; ++i) {
    const auto e = drawing::training_edit(r);
    const auto &was = e.before.objects.front(), &is = e.after.objects.front();
    EXPECT_FALSE(drawing::held_out(e.after));
    EXPECT_NE(drawing::draw(e.before), drawing::draw(e.after));
    EXPECT_NE(is.colour, e.after.background);
    // Where the caption says no size or place, there is none to change.
    if (is.said_size == drawing::size::unsaid) {
      EXPECT_EQ(is.radius, was.radius);
    }
    if (is.said_place == drawing::place::unsaid && is.radius == was.radius) {
      EXPECT_EQ(std::pair(is.x, is.y), std::pair(was.x, was.y));
    }
  }
  for (int c = 0; c < drawing::change_count; ++c) {
    for (const auto& t : drawing::edit_tasks(50, 6, static_cast<drawing::change>(c))) {
      const auto &a = t.before, &b = t.after.wanted;
      const auto &was = a.objects.front(), &is = b.objects.front();
      EXPECT_EQ((a.background != b.background) + (was.colour != is.colour) + (was.form != is.form) +
                    (was.said_place != is.said_place),
                1);
    }
  }
}

TEST(judge, is_calibrated_on_real_drawings) {
  int right = 0, placed = 0, pairs = 0;
  const auto tasks = held_out_tasks(200, 11);
  for (const auto& t : tasks) {
    const auto rgb = drawing::draw(t.wanted);
    const auto v = judge(t.wanted, view(rgb));
    right += v.right();
    placed += v.place;
    if (!v.right()) fmt::print("misjudged: {}\n", t.prompt);
  }
  for (const auto& t : held_out_tasks(200, 12, true)) {
    const auto rgb = drawing::draw(t.wanted);
    pairs += testing::judge_pair(t.wanted, view(rgb));
    if (!testing::judge_pair(t.wanted, view(rgb))) fmt::print("misjudged: {}\n", t.prompt);
  }
  fmt::print("judge on real drawings: right {}/200, place {}/200, pairs {}/200\n", right, placed,
             pairs);
  EXPECT_GE(right, 198);
  EXPECT_GE(placed, 198);
  EXPECT_GE(pairs, 198);
}

TEST(judge, rejects_other_pictures) {
  // The picture of one task against the wish of another: right only where all three agree.
  const auto tasks = held_out_tasks(100, 5);
  int checked = 0;
  for (std::size_t i = 1; i < tasks.size(); ++i) {
    const auto &a = tasks[i - 1].wanted, &b = tasks[i].wanted;
    const bool same = a.background == b.background && a.objects[0].colour == b.objects[0].colour &&
                      a.objects[0].form == b.objects[0].form;
    if (same) continue;
    ++checked;
    const auto rgb = drawing::draw(a);
    EXPECT_FALSE(judge(b, view(rgb)).right()) << tasks[i].prompt;
  }
  EXPECT_GT(checked, 80);
}

TEST(judge, rejects_blank_noisy_and_deformed_pictures) {
  drawing::random r(9);
  const auto t = held_out_tasks(1, 5).front();
  std::vector<std::uint8_t> blank(64 * 64 * 3, 128), noise;
  for (std::size_t i = 0; i < blank.size(); ++i)
    noise.push_back(static_cast<std::uint8_t>(r.next()));
  EXPECT_FALSE(judge(t.wanted, view(blank)).right());
  EXPECT_FALSE(judge(t.wanted, view(noise)).right());

  // Half of a shape is no shape of that kind.
  drawing::scene s;
  s.background = 6;
  s.objects.push_back({drawing::shape::circle, 0, 32, 32, 16, {}, {}});
  auto rgb = drawing::draw(s);
  EXPECT_TRUE(judge(s, view(rgb)).right());
  std::fill(rgb.begin(), rgb.begin() + 32 * 64 * 3, std::uint8_t{245});
  EXPECT_FALSE(judge(s, view(rgb)).right());
}

}  // namespace
}  // namespace lp
