// SPDX-License-Identifier: MIT
#include "tools/lp-job/options.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

#include "tools/command_line.hpp"

namespace lp::job {
namespace {

namespace json = boost::json;

result<job_body> parse(std::vector<std::string> arguments) {
  CLI::App app;
  given values;
  const pipelines::description& d = *pipelines::find(arguments.front());
  add_pipeline(app, d, values);
  std::reverse(arguments.begin(), arguments.end());
  app.parse(std::move(arguments));
  return body_of(d, values);
}

TEST(options, follow_from_the_description) {
  const auto body = parse({"text-to-image", "--prompt", "a red circle", "--num-inference-steps",
                           "12", "--guidance-scale=3", "--safety-check", "no", "--seed", "7"});
  ASSERT_TRUE(body) << render(body.error());
  EXPECT_EQ(body->params, (json::object{{"prompt", "a red circle"},
                                        {"num_inference_steps", 12},
                                        {"guidance_scale", 3.0},
                                        {"safety_check", false},
                                        {"seed", 7}}))
      << "in their types, and nothing that was not given";
}

TEST(options, are_spelt_with_dashes_or_as_the_parameter_is) {
  const auto body = parse({"text-to-image", "--prompt", "x", "--model_id", "m",
                           "--num_inference_steps=3", "--guidance-scale", "2"});
  ASSERT_TRUE(body) << render(body.error());
  EXPECT_EQ(body->params.at("model_id"), "m");
  EXPECT_EQ(body->params.at("num_inference_steps"), 3);
}

TEST(options, that_are_not_known_are_told_in_their_order) {
  const auto told = [](std::vector<std::string> arguments) {
    CLI::App app;
    app.require_subcommand(1);
    app.fallthrough();
    given values;
    for (const auto& d : pipelines::all()) add_pipeline(app, d, values);
    arguments.insert(arguments.begin(), "lp-job");
    std::vector<char*> argv;
    for (std::string& a : arguments) argv.push_back(a.data());
    ::testing::internal::CaptureStderr();
    const auto over = read_command_line(app, static_cast<int>(argv.size()), argv.data());
    EXPECT_TRUE(over && *over != 0);
    return ::testing::internal::GetCapturedStderr();
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(told({"noop", "--text", "hello", "--x"}),
              HasSubstr("noop: not known here: --text hello --x"));
  const auto misspelt = told({"text-to-image", "--promt", "x"});
  EXPECT_THAT(misspelt, HasSubstr("text-to-image: not known here: --promt x"));
  EXPECT_THAT(misspelt, HasSubstr("--prompt is required"));
  EXPECT_THAT(told({"nop"}), HasSubstr("not known here: nop"));
}

TEST(options, are_checked_before_anything_is_sent) {
  const auto body = parse({"text-to-image", "--prompt", "x", "--width", "7", "--height", "tall"});
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().fields.size(), 2u);
}

TEST(options, files_are_read_and_looked_at) {
  const std::string picture = LP_SOURCE_DIR "/tests/data/images/rgb.png";
  const auto body = parse({"image-to-image", "--prompt", "x", "--image", picture});
  ASSERT_TRUE(body) << render(body.error());
  ASSERT_EQ(body->files.size(), 1U);
  EXPECT_EQ(body->files[0].field, "image");
  EXPECT_EQ(body->files[0].name, "rgb.png");
  EXPECT_EQ(body->files[0].bytes.size(), 129U);
  EXPECT_FALSE(body->params.contains("image"));
  EXPECT_EQ(parse({"upscale", "--prompt", "", "--image", "/no/such/file"}).error().code,
            ec::bad_file);
  EXPECT_EQ(parse({"upscale", "--prompt", "", "--image", LP_SOURCE_DIR}).error().code,
            ec::bad_file);
  const std::string text = LP_SOURCE_DIR "/README.md";
  EXPECT_EQ(parse({"upscale", "--prompt", "", "--image", text}).error().fields.size(), 1U);
}

TEST(options, what_is_required_must_be_given) {
  EXPECT_THROW(parse({"image-to-image", "--prompt", "x"}), CLI::RequiredError);
  EXPECT_THROW(parse({"text-to-image", "--width", "64"}), CLI::RequiredError);
  EXPECT_THROW(parse({"text-to-image", "--prompt", "x", "--heigth", "64"}), CLI::ExtrasError);
}

}  // namespace
}  // namespace lp::job
