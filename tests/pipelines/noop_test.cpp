// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "pipelines/description.hpp"

namespace lp::pipelines {
namespace {

namespace json = boost::json;

std::unique_ptr<run> start(const json::object& body, std::vector<attachment> files = {}) {
  const description& noop = *find("noop");
  auto params = validate(noop, body);
  if (!params) {
    ADD_FAILURE() << render(params.error());
    return nullptr;
  }
  const auto loaded = noop.load({}, device{});
  return std::move((*loaded)->start({*params, std::move(files)}).value());
}

TEST(noop, gives_back_its_input) {
  auto run = start({{"data", "hello"}}, {{"image", "image/png", share("bytes")}});
  ASSERT_TRUE(run);
  const auto done = run->step();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->done, done->total);
  const auto out = run->finish();
  ASSERT_TRUE(out);
  EXPECT_EQ(out->fields.at("data"), "hello");
  ASSERT_EQ(out->files.size(), 1u);
  EXPECT_EQ(*out->files[0].data, "bytes");
  EXPECT_EQ(out->units, 1);
}

TEST(noop, shares_its_delay_between_its_steps) {
  const auto begin = std::chrono::steady_clock::now();
  auto run = start({{"delay_ms", 30}, {"steps", 3}});
  ASSERT_TRUE(run);
  for (int i = 1; i <= 3; ++i) {
    const auto done = run->step();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->done, i);
    EXPECT_EQ(done->total, 3);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(10 * i));
  }
}

TEST(noop, fails_as_asked_in_its_last_step) {
  auto run = start({{"fail", "out_of_memory"}, {"steps", 2}});
  ASSERT_TRUE(run);
  EXPECT_TRUE(run->step());
  const auto last = run->step();
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, ec::out_of_memory);
  EXPECT_FALSE(validate(*find("noop"), json::object{{"fail", "unheard_of"}}));
}

TEST(noop, needs_no_model_and_no_engine) {
  EXPECT_FALSE(find("noop")->needs_model);
  EXPECT_EQ((*find("noop")->load({}, device{}))->bytes(), 0u);
}

}  // namespace
}  // namespace lp::pipelines
