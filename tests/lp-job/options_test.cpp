// SPDX-License-Identifier: MIT
#include "tools/lp-job/options.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

namespace lp::job {
namespace {

namespace json = boost::json;

const pipelines::description& text_to_image() {
  return *pipelines::find("text-to-image");
}

result<json::object> parse(std::vector<std::string> arguments) {
  CLI::App app;
  given values;
  add_pipeline(app, text_to_image(), values);
  std::reverse(arguments.begin(), arguments.end());
  app.parse(std::move(arguments));
  return body_of(text_to_image(), values);
}

TEST(options, follow_from_the_description) {
  const auto body = parse({"text-to-image", "--prompt", "a red circle", "--num-inference-steps",
                           "12", "--guidance-scale=3", "--safety-check", "no", "--seed", "7"});
  ASSERT_TRUE(body) << render(body.error());
  EXPECT_EQ(*body, (json::object{{"prompt", "a red circle"},
                                 {"num_inference_steps", 12},
                                 {"guidance_scale", 3.0},
                                 {"safety_check", false},
                                 {"seed", 7}}))
      << "in their types, and nothing that was not given";
}

TEST(options, are_checked_before_anything_is_sent) {
  const auto body = parse({"text-to-image", "--prompt", "x", "--width", "7", "--height", "tall"});
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().fields.size(), 2u);
}

TEST(options, what_is_required_must_be_given) {
  EXPECT_THROW(parse({"text-to-image", "--width", "64"}), CLI::RequiredError);
  EXPECT_THROW(parse({"text-to-image", "--prompt", "x", "--heigth", "64"}), CLI::ExtrasError);
}

}  // namespace
}  // namespace lp::job
