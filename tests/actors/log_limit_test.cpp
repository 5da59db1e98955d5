// SPDX-License-Identifier: MIT
#include "runtime/base/log_limit.hpp"

#include <gtest/gtest.h>

namespace lp::log {
namespace {

const time_point start = time_point{} + seconds(1'000'000);

TEST(log_limit, tells_at_once_and_then_at_growing_intervals) {
  limiter l;
  std::vector<long> told;
  for (long s = 0; s <= 5000; ++s) {
    if (l.due("key", start + seconds(s))) told.push_back(s);
  }
  EXPECT_EQ(told, (std::vector<long>{0, 10, 70, 670, 4270}));
}

TEST(log_limit, counts_what_was_not_told) {
  limiter l;
  EXPECT_EQ(l.due("key", start), 0U);
  for (int i = 1; i < 10; ++i) EXPECT_FALSE(l.due("key", start + seconds(i)));
  EXPECT_EQ(l.due("key", start + seconds(10)), 9U);
}

TEST(log_limit, keys_do_not_silence_each_other_but_all_together_are_bounded) {
  limiter l(100);
  EXPECT_TRUE(l.due("a", start));
  EXPECT_TRUE(l.due("b", start));
  int told = 0;
  for (int i = 0; i < 10'000; ++i) told += l.due(std::to_string(i), start).has_value() ? 1 : 0;
  EXPECT_EQ(told, 58);
  EXPECT_TRUE(l.due("c", start + seconds(60)));
}

TEST(log_limit, what_is_over_is_new_when_it_comes_again) {
  limiter l;
  EXPECT_TRUE(l.due("key", start));
  EXPECT_FALSE(l.due("key", start + seconds(1)));
  l.clear();
  EXPECT_TRUE(l.due("key", start + seconds(2)));
  EXPECT_TRUE(l.due("key", start + seconds(10'000)));
}

}  // namespace
}  // namespace lp::log
