// SPDX-License-Identifier: MIT
#include "actors/run_queue.hpp"

#include <gtest/gtest.h>

#include "actors/chunk_window.hpp"

namespace lp::actors {
namespace {

const time_point now{};
const time_point later = now + seconds(100);

// Appends its name to a journal at each step.
class scripted : public pipelines::run {
 public:
  scripted(std::string name, int steps, std::string& journal)
      : name_(std::move(name)), steps_(steps), journal_(journal) {}

  result<pipelines::progress> step() override {
    journal_ += name_;
    if (name_ == "!") throw std::runtime_error("broken");
    if (name_ == "m") throw std::bad_alloc();
    return pipelines::progress{++done_, steps_};
  }
  result<pipelines::output> finish() override { return pipelines::output{}; }

 private:
  std::string name_;
  int steps_;
  int done_ = 0;
  std::string& journal_;
};

TEST(run_queue, steps_its_runs_in_turn) {
  run_queue q;
  std::string journal;
  q.add("1", std::make_unique<scripted>("a", 3, journal), later);
  q.add("2", std::make_unique<scripted>("b", 2, journal), later);
  std::vector<std::string> ended;
  while (!q.empty()) {
    if (const auto e = q.step(now)) ended.push_back(e->id);
  }
  EXPECT_EQ(journal, "ababa");
  EXPECT_EQ(ended, (std::vector<std::string>{"2", "1"}));
}

// Steps with others of its key; a journal entry a step: how many took part.
class sociable : public scripted {
 public:
  sociable(std::uint64_t key, int steps, std::string& journal, bool fails = false)
      : scripted("x", steps, journal), key_(key), journal_(journal), fails_(fails) {}

  std::uint64_t batch_key() const override { return key_; }
  std::vector<result<pipelines::progress>> step_with(
      std::span<pipelines::run* const> others) override {
    journal_ += std::to_string(1 + others.size());
    std::vector<result<pipelines::progress>> out{advance()};
    for (auto* other : others) out.push_back(static_cast<sociable*>(other)->advance());
    return out;
  }
  result<pipelines::progress> advance() {
    if (fails_) return fail(ec::out_of_memory, "too much");
    return pipelines::progress{++taken_, 3};
  }

 private:
  std::uint64_t key_;
  std::string& journal_;
  bool fails_;
  int taken_ = 0;
};

TEST(run_queue, steps_runs_of_one_key_together_whenever_they_came) {
  run_queue q;
  std::string journal;
  q.add("1", std::make_unique<sociable>(7, 3, journal), later);
  q.add("2", std::make_unique<sociable>(7, 3, journal), later);
  EXPECT_FALSE(q.step(now));
  q.add("3", std::make_unique<sociable>(7, 3, journal), later);
  std::vector<std::string> ended;
  for (int i = 0; i < 20 && !q.empty(); ++i) {
    if (const auto e = q.step(now)) ended.push_back(e->id);
  }
  EXPECT_EQ(journal.substr(0, 3), "233");
  EXPECT_EQ(ended, (std::vector<std::string>{"1", "2", "3"}));
}

TEST(run_queue, a_failure_among_runs_that_are_stepped_together_is_its_own) {
  run_queue q;
  std::string journal;
  q.add("1", std::make_unique<sociable>(7, 3, journal), later);
  q.add("2", std::make_unique<sociable>(7, 3, journal, true), later);
  const auto e = q.step(now);
  ASSERT_TRUE(e);
  EXPECT_EQ(e->id, "2");
  EXPECT_EQ(e->outcome.error().code, ec::out_of_memory);
  EXPECT_EQ(q.size(), 1U);
}

TEST(run_queue, ends_a_late_run_without_stepping_it) {
  run_queue q;
  std::string journal;
  q.add("1", std::make_unique<scripted>("a", 3, journal), now + seconds(1));
  const auto e = q.step(now + seconds(2));
  ASSERT_TRUE(e);
  EXPECT_EQ(e->outcome.error().code, ec::deadline_exceeded);
  EXPECT_TRUE(journal.empty());
}

TEST(run_queue, an_exception_ends_only_its_own_run) {
  run_queue q;
  std::string journal;
  q.add("1", std::make_unique<scripted>("!", 3, journal), later);
  q.add("2", std::make_unique<scripted>("m", 3, journal), later);
  q.add("3", std::make_unique<scripted>("a", 1, journal), later);
  EXPECT_EQ(q.step(now)->outcome.error().code, ec::pipeline_failed);
  EXPECT_EQ(q.step(now)->outcome.error().code, ec::out_of_memory);
  EXPECT_TRUE(q.step(now)->outcome);
}

TEST(run_queue, a_cancelled_run_is_dropped) {
  run_queue q;
  std::string journal;
  q.add("1", std::make_unique<scripted>("a", 3, journal), later);
  EXPECT_FALSE(q.cancel("2"));
  EXPECT_TRUE(q.cancel("1"));
  EXPECT_TRUE(q.empty());
  EXPECT_FALSE(q.step(now));
}

TEST(chunk_window, puts_parts_together_in_any_order_within_its_window) {
  const std::string whole = "abcdefghij";
  chunk_window w(whole.size(), 3, 2);
  std::vector<chunk_window::ask> open;
  while (!w.complete()) {
    while (const auto a = w.next()) open.push_back(*a);
    ASSERT_LE(open.size(), 2U);
    const auto last = open.back();  // the newest first: parts overtake each other
    open.pop_back();
    ASSERT_TRUE(w.arrived(last, whole.substr(last.offset, last.length), whole.size()));
  }
  EXPECT_EQ(w.take(), whole);
}

TEST(chunk_window, refuses_parts_that_are_not_what_was_asked_for) {
  chunk_window w(10, 4, 4);
  const auto a = *w.next();
  EXPECT_FALSE(w.arrived(a, "abc", 10));
  const auto b = *w.next();
  EXPECT_FALSE(w.arrived(b, "abcd", 11));
}

}  // namespace
}  // namespace lp::actors
