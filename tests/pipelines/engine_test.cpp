// SPDX-License-Identifier: MIT
#include "pipelines/engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lp::pipelines {
namespace {

using testing::HasSubstr;

TEST(engine, is_opened_from_a_shared_library) {
  const auto opened = open_engine(LP_FAKE_ENGINE);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ((*opened)->version(), "fake");
  EXPECT_EQ((*opened)->devices().front().name, "abacus");
  const auto again = open_engine(LP_FAKE_ENGINE);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, *opened) << "one object a process";
}

TEST(engine, a_missing_library_is_named) {
  const auto opened = open_engine("no/such/engine.so");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ec::internal);
  EXPECT_THAT(opened.error().message, HasSubstr("no/such/engine.so"));
}

TEST(engine, another_library_is_refused) {
  const auto opened = open_engine("libm.so.6");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ec::internal);
  EXPECT_THAT(opened.error().message, HasSubstr("libm.so.6 is no engine"));
}

}  // namespace
}  // namespace lp::pipelines
