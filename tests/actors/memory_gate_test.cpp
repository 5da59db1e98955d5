// SPDX-License-Identifier: MIT
#include "actors/memory_gate.hpp"

#include <gtest/gtest.h>

namespace lp::actors {
namespace {

using verdict = memory_verdict;

const time_point start{};
const time_point later = start + seconds(10);

pipelines::memory_need need(std::uint64_t weights, std::uint64_t peak, std::uint64_t lean = 0) {
  return {weights, peak, lean};
}

TEST(memory_gate, lets_all_in_without_a_limit) {
  memory_gate gate;
  EXPECT_EQ(gate.enter("a", need(10, UINT64_MAX / 2), 10, later), verdict::start);
  EXPECT_EQ(gate.enter("b", need(10, 1000), 10, later), verdict::start);
}

TEST(memory_gate, jobs_wait_for_each_other_and_start_in_order) {
  memory_gate gate(100);
  EXPECT_EQ(gate.enter("a", need(20, 50), 20, later), verdict::start);
  EXPECT_EQ(gate.enter("b", need(20, 50), 20, later), verdict::wait);
  EXPECT_EQ(gate.enter("c", need(20, 10), 20, later), verdict::wait) << "b came first";
  EXPECT_FALSE(gate.next(20));
  gate.leave("a");
  EXPECT_EQ(gate.next(20)->id, "b");
  EXPECT_EQ(gate.next(20)->id, "c");
  EXPECT_FALSE(gate.next(20));
  EXPECT_EQ(gate.reserved(), 60U);
  gate.leave("b");
  gate.leave("c");
  EXPECT_EQ(gate.reserved(), 0U);
}

TEST(memory_gate, refuses_what_would_not_fit_alone_and_says_by_how_much) {
  memory_gate gate(1000 << 10);
  const auto refused = gate.enter("a", need(400 << 10, 700 << 10), 400 << 10, later);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::out_of_memory);
  EXPECT_NE(refused.error().message.find("700.0 KiB"), std::string::npos)
      << refused.error().message;
  EXPECT_NE(refused.error().message.find("600.0 KiB"), std::string::npos)
      << refused.error().message;
  EXPECT_EQ(gate.waiting(), 0U);
  EXPECT_EQ(gate.enter("b", need(400 << 10, 600 << 10), 400 << 10, later), verdict::start);
}

TEST(memory_gate, works_lean_only_where_it_could_not_run_otherwise) {
  memory_gate gate(100);
  EXPECT_EQ(gate.enter("a", need(20, 90, 30), 20, later), verdict::start_lean);
  EXPECT_EQ(gate.reserved(), 30U);
  EXPECT_EQ(gate.enter("b", need(20, 70, 30), 20, later), verdict::wait)
      << "it has room once a has ended";
  gate.leave("a");
  EXPECT_FALSE(gate.next(20)->lean);
}

TEST(memory_gate, other_models_count_while_jobs_run_but_hold_up_nobody_alone) {
  memory_gate gate(100);
  EXPECT_EQ(gate.enter("a", need(20, 40), 60, later), verdict::start);
  EXPECT_EQ(gate.enter("b", need(20, 10), 60, later), verdict::wait);
  gate.leave("a");
  EXPECT_EQ(gate.enter("c", need(20, 10), 60, later), verdict::wait) << "b came first";
  EXPECT_EQ(gate.next(90)->id, "b");
}

TEST(memory_gate, who_leaves_or_is_late_waits_no_longer) {
  memory_gate gate(100);
  EXPECT_EQ(gate.enter("a", need(20, 80), 20, later), verdict::start);
  EXPECT_EQ(gate.enter("b", need(20, 80), 20, later), verdict::wait);
  EXPECT_EQ(gate.enter("c", need(20, 80), 20, later + seconds(5)), verdict::wait);
  EXPECT_EQ(gate.enter("d", need(20, 80), 20, later + seconds(9)), verdict::wait);
  EXPECT_FALSE(gate.expired(start));
  EXPECT_EQ(gate.expired(later), "b");
  EXPECT_FALSE(gate.expired(later));
  gate.leave("c");
  gate.leave("a");
  EXPECT_EQ(gate.next(20)->id, "d");
}

}  // namespace
}  // namespace lp::actors
