// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "pipelines/description.hpp"

namespace lp::pipelines {
namespace {

namespace json = boost::json;

const description& pipeline() {
  return *find("text-to-image");
}

TEST(text_to_image, a_prompt_is_enough) {
  const auto params = validate(pipeline(), json::object{{"prompt", "a red circle"}});
  ASSERT_TRUE(params);
  const json::value expected = json::parse(R"({
    "model_id": "", "loras": "", "prompt": "a red circle", "height": 576, "width": 1024,
    "guidance_scale": 7.5, "negative_prompt": "", "safety_check": true,
    "num_inference_steps": 50, "num_images_per_prompt": 1})");
  EXPECT_EQ(*params, expected.as_object());
}

TEST(text_to_image, an_absent_or_null_seed_stays_absent) {
  const auto params = validate(pipeline(), json::object{{"prompt", "x"}, {"seed", nullptr}});
  ASSERT_TRUE(params);
  EXPECT_FALSE(params->contains("seed"));
}

TEST(text_to_image, an_empty_prompt_has_the_references_answer) {
  const auto params = validate(pipeline(), json::object{{"prompt", ""}});
  ASSERT_FALSE(params);
  EXPECT_EQ(params.error().code, ec::bad_request);
  EXPECT_EQ(params.error().message, "Prompt must be provided.");
  const auto missing = validate(pipeline(), json::object{});
  EXPECT_EQ(missing.error().fields.at(0).type, "missing");
}

TEST(text_to_image, loras_are_an_object_of_numbers) {
  for (const char* right : {"", "{}", R"({"style": 1, "other": 0.5})"}) {
    EXPECT_TRUE(validate(pipeline(), json::object{{"prompt", "x"}, {"loras", right}})) << right;
  }
  for (const char* wrong : {"style", "[1]", R"({"style": "much"})", "{"}) {
    const auto params = validate(pipeline(), json::object{{"prompt", "x"}, {"loras", wrong}});
    ASSERT_FALSE(params) << wrong;
    EXPECT_EQ(params.error().code, ec::bad_request);
    EXPECT_NE(params.error().message.find("loras"), std::string::npos);
  }
}

TEST(text_to_image, ranges_are_kept) {
  const std::pair<const char*, std::pair<json::value, json::value>> ranges[] = {
      {"height", {64, 2048}},
      {"width", {64, 2048}},
      {"guidance_scale", {0, 50}},
      {"num_inference_steps", {1, 150}},
      {"num_images_per_prompt", {1, 16}},
      {"seed", {0, 9007199254740991}},
  };
  for (const auto& [name, range] : ranges) {
    const auto [low, high] = range;
    const auto with = [name = name](std::int64_t value) {
      return validate(pipeline(), json::object{{"prompt", "x"}, {name, value}});
    };
    EXPECT_TRUE(with(low.as_int64())) << name;
    EXPECT_TRUE(with(high.as_int64())) << name;
    ASSERT_FALSE(with(low.as_int64() - 1)) << name;
    ASSERT_FALSE(with(high.as_int64() + 1)) << name;
    EXPECT_EQ(with(low.as_int64() - 1).error().fields.at(0).type, "greater_than_equal");
    EXPECT_EQ(with(high.as_int64() + 1).error().fields.at(0).type, "less_than_equal");
  }
  const json::object long_prompt{{"prompt", std::string(4001, 'x')}};
  EXPECT_EQ(validate(pipeline(), long_prompt).error().fields.at(0).type, "string_too_long");
}

TEST(text_to_image, units_are_pixels_times_steps) {
  const auto params = validate(pipeline(), json::object{{"prompt", "x"},
                                                        {"height", 64},
                                                        {"width", 128},
                                                        {"num_inference_steps", 20},
                                                        {"num_images_per_prompt", 3}});
  ASSERT_TRUE(params);
  EXPECT_EQ(pipeline().units(*params), 64.0 * 128 * 20 * 3);
}

TEST(pipelines, are_listed_by_name_and_described_whole) {
  std::vector<std::string> names;
  for (const description& d : all()) {
    names.push_back(d.name);
    EXPECT_FALSE(d.summary.empty());
    EXPECT_TRUE(d.units && d.load);
    EXPECT_TRUE(!d.needs_model || d.accepts);
    for (const parameter& p : d.parameters) {
      EXPECT_TRUE(p.help.ends_with('.')) << d.name << " " << p.name;
    }
  }
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_THAT(names, testing::IsSupersetOf({"noop", "text-to-image"}));
  EXPECT_EQ(find("no-such-pipeline"), nullptr);
  EXPECT_THROW(add(pipeline()), std::logic_error);
}

}  // namespace
}  // namespace lp::pipelines
