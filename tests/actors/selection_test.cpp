// SPDX-License-Identifier: MIT
#include "actors/selection.hpp"

#include <gtest/gtest.h>

namespace lp::actors {
namespace {

wire::Announcement orchestrator(const std::string& name, const std::string& model, bool warm,
                                unsigned running = 0) {
  wire::Announcement a;
  a.set_node(name);
  a.set_version(1);
  a.set_slots(1);
  a.set_queue_limit(4);
  a.set_running(running);
  wire::Offer& o = *a.add_offers();
  o.set_pipeline("text-to-image");
  o.set_model(model);
  o.set_warm(warm);
  o.set_is_default(model == "main");
  return a;
}

std::string node(const result<choice>& c) {
  return c ? c->node : render(c.error());
}

TEST(selection, tells_of_models_that_are_coming_and_of_missing_defaults) {
  selection s;
  wire::Announcement a = orchestrator("orch-1", "other", false);
  wire::ComingModel& c = *a.add_coming();
  c.set_model("new");
  c.set_why("unet: no weights");
  s.update(a);
  const auto coming = s.pick("text-to-image", "new", {});
  ASSERT_FALSE(coming);
  EXPECT_EQ(coming.error().code, ec::not_found);
  EXPECT_EQ(coming.error().message,
            "no orchestrator offers model \"new\" for text-to-image; it lies at orch-1, but unet: "
            "no weights; offered: other");
  const auto none = s.pick("text-to-image", "", {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ec::not_found);
  EXPECT_EQ(none.error().message,
            "text-to-image has no default model; name one with model_id: other");
}

TEST(selection, prefers_warm_even_when_it_is_busier) {
  selection s;
  s.update(orchestrator("cold", "m", false, 0));
  s.update(orchestrator("warm", "m", true, 3));
  EXPECT_EQ(node(s.pick("text-to-image", "m", {})), "warm");
}

TEST(selection, puts_a_full_queue_last) {
  selection s;
  s.update(orchestrator("cold", "m", false, 0));
  s.update(orchestrator("warm", "m", true, 5));
  EXPECT_EQ(node(s.pick("text-to-image", "m", {})), "cold");
  EXPECT_EQ(node(s.pick("text-to-image", "m", {"cold"})), "warm");
}

TEST(selection, takes_the_fewest_jobs_among_the_warm) {
  selection s;
  s.update(orchestrator("a", "m", true, 2));
  s.update(orchestrator("b", "m", true, 1));
  EXPECT_EQ(node(s.pick("text-to-image", "m", {})), "b");
}

TEST(selection, counts_own_jobs_before_any_announcement_tells_them) {
  selection s;
  s.update(orchestrator("a", "m", true));
  s.update(orchestrator("b", "m", true));
  const std::string first = node(s.pick("text-to-image", "m", {}));
  s.started(first);
  const std::string second = node(s.pick("text-to-image", "m", {}));
  EXPECT_NE(first, second);
  s.started(second);
  s.finished(first);
  EXPECT_EQ(node(s.pick("text-to-image", "m", {})), first);
}

TEST(selection, takes_turns_among_equals) {
  selection s;
  for (const char* name : {"a", "b", "c"}) s.update(orchestrator(name, "m", true));
  std::set<std::string> seen;
  for (int i = 0; i < 3; ++i) seen.insert(node(s.pick("text-to-image", "m", {})));
  EXPECT_EQ(seen.size(), 3U);
}

TEST(selection, an_empty_model_means_the_default_and_is_named) {
  selection s;
  s.update(orchestrator("a", "other", true));
  s.update(orchestrator("b", "main", false));
  const auto c = s.pick("text-to-image", "", {});
  ASSERT_TRUE(c);
  EXPECT_EQ(c->node, "b");
  EXPECT_EQ(c->model, "main");
}

TEST(selection, says_why_nobody_can_take_the_job) {
  selection s;
  EXPECT_EQ(s.pick("text-to-image", "", {}).error().code, ec::unavailable);
  s.update(orchestrator("a", "main", true));
  const auto unknown = s.pick("text-to-image", "nope", {});
  EXPECT_EQ(unknown.error().code, ec::not_found);
  EXPECT_NE(unknown.error().message.find("offered: main"), std::string::npos);
  EXPECT_EQ(s.pick("upscale", "", {}).error().code, ec::unavailable);
  EXPECT_EQ(s.pick("text-to-image", "main", {"a"}).error().code, ec::unavailable);
}

TEST(selection, leaves_out_who_drains_or_went_away) {
  selection s;
  wire::Announcement a = orchestrator("a", "main", true);
  a.set_draining(true);
  s.update(a);
  s.update(orchestrator("b", "main", false));
  EXPECT_EQ(node(s.pick("text-to-image", "", {})), "b");
  s.remove("b");
  EXPECT_EQ(s.pick("text-to-image", "", {}).error().code, ec::unavailable);
}

TEST(selection, ignores_an_announcement_that_was_overtaken) {
  selection s;
  wire::Announcement newer = orchestrator("a", "main", true);
  newer.set_version(7);
  s.update(newer);
  wire::Announcement older = orchestrator("a", "main", false);
  older.set_version(6);
  s.update(older);
  const auto c = s.pick("text-to-image", "main", {});
  ASSERT_TRUE(c);
  EXPECT_TRUE(c->warm);
}

}  // namespace
}  // namespace lp::actors
