// SPDX-License-Identifier: MIT
#include "actors/model_shelf.hpp"

#include <gtest/gtest.h>

#include "pipelines/model.hpp"

namespace lp::actors {
namespace {

using next = model_shelf::decision::next;

class nothing : public pipelines::model {
 public:
  std::uint64_t bytes() const override { return 0; }
  result<std::unique_ptr<pipelines::run>> start(const pipelines::job_input&) override {
    return fail(ec::internal, "not for running");
  }
};

/// Loads a model and gives back its one use.
model_shelf::model_ptr load(model_shelf& shelf, const std::string& id, std::uint64_t bytes) {
  const auto d = shelf.acquire(id, bytes);
  if (!d || d->what != next::load) throw std::logic_error(id + " is not to be loaded");
  auto model = std::make_shared<nothing>();
  shelf.loaded(id, model, bytes);
  return model;
}

TEST(model_shelf, loads_once_however_many_ask) {
  model_shelf shelf(100);
  EXPECT_EQ(shelf.acquire("a", 10)->what, next::load);
  EXPECT_EQ(shelf.acquire("a", 10)->what, next::wait);
  EXPECT_EQ(shelf.acquire("a", 10)->what, next::wait);
  shelf.loaded("a", std::make_shared<nothing>(), 10);
  const auto d = shelf.acquire("a", 10);
  EXPECT_EQ(d->what, next::use);
  EXPECT_NE(d->model, nullptr);
}

TEST(model_shelf, loads_anew_what_is_not_usable_any_more) {
  struct broken : nothing {
    bool usable() const override { return false; }
  };
  model_shelf shelf(100);
  ASSERT_EQ(shelf.acquire("a", 60)->what, next::load);
  const auto held = std::make_shared<broken>();
  shelf.loaded("a", held, 60);
  const auto d = shelf.acquire("a", 60);
  EXPECT_EQ(d->what, next::load) << "though somebody still holds it";
  EXPECT_TRUE(d->again);
  EXPECT_EQ(shelf.acquire("a", 60)->what, next::wait);
}

TEST(model_shelf, drops_the_least_recently_used_that_nobody_holds) {
  model_shelf shelf(100);
  for (const char* id : {"a", "b", "c"}) load(shelf, id, 30);
  EXPECT_EQ(shelf.acquire("a", 30)->what, next::use);  // now b is the oldest
  const auto d = shelf.acquire("d", 30);
  ASSERT_TRUE(d);
  EXPECT_EQ(d->evicted, std::vector<std::string>{"b"});
  EXPECT_EQ(shelf.warm().count("a") + shelf.warm().count("c"), 2U);
}

TEST(model_shelf, use_that_it_is_only_told_of_counts_as_use) {
  model_shelf shelf(100);
  for (const char* id : {"a", "b", "c"}) load(shelf, id, 30);
  shelf.used("a");
  EXPECT_EQ(shelf.acquire("d", 30)->evicted, std::vector<std::string>{"b"});
}

TEST(model_shelf, never_drops_what_is_in_use) {
  model_shelf shelf(100);
  auto in_use = load(shelf, "a", 60);
  const auto d = shelf.acquire("b", 60);
  ASSERT_FALSE(d);
  EXPECT_EQ(d.error().code, ec::busy);
  in_use.reset();
  EXPECT_EQ(shelf.acquire("b", 60)->evicted, std::vector<std::string>{"a"});
}

TEST(model_shelf, refuses_what_can_never_fit_and_names_the_sizes) {
  model_shelf shelf(1 << 20);
  const auto d = shelf.acquire("huge", 3 << 20);
  ASSERT_FALSE(d);
  EXPECT_EQ(d.error().code, ec::out_of_memory);
  EXPECT_NE(d.error().message.find("3.0 MiB"), std::string::npos);
  EXPECT_NE(d.error().message.find("1.0 MiB"), std::string::npos);
}

TEST(model_shelf, a_failed_load_leaves_room_and_may_be_tried_again) {
  model_shelf shelf(100);
  EXPECT_EQ(shelf.acquire("a", 80)->what, next::load);
  shelf.load_failed("a");
  EXPECT_EQ(shelf.bytes(), 0U);
  EXPECT_EQ(shelf.acquire("a", 80)->what, next::load);
}

TEST(model_shelf, a_model_larger_than_thought_pushes_others_out_after_its_load) {
  model_shelf shelf(100);
  load(shelf, "a", 40);
  EXPECT_EQ(shelf.acquire("b", 50)->what, next::load);
  const auto out = shelf.loaded("b", std::make_shared<nothing>(), 90);
  EXPECT_EQ(out, std::vector<std::string>{"a"});
  EXPECT_EQ(shelf.bytes(), 90U);
}

}  // namespace
}  // namespace lp::actors
