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
    "num_inference_steps": 50, "num_images_per_prompt": 1,
    "scheduler": "", "clip_skip": 0, "eta": 0.0, "guidance_rescale": 0.0})");
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

TEST(text_to_image, strengths_of_loras_are_finite) {
  for (const char* wrong : {R"({"style": 1e400})", R"({"style": 1, "other": -1e400})",
                            R"({"style": NaN})", R"({"style": -Infinity})"}) {
    const auto params = validate(pipeline(), json::object{{"prompt", "x"}, {"loras", wrong}});
    ASSERT_FALSE(params) << wrong;
    EXPECT_EQ(params.error().code, ec::invalid_parameters);
    ASSERT_EQ(params.error().fields.size(), 1U);
    EXPECT_EQ(params.error().fields[0].loc.back(), "loras");
    EXPECT_EQ(params.error().fields[0].type, "finite_number");
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
      {"clip_skip", {0, 30}},
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
  std::string chinese;
  for (int i = 0; i < 4000; ++i) chinese += "红";
  EXPECT_TRUE(validate(pipeline(), json::object{{"prompt", chinese}}));
  const json::object long_prompt{{"prompt", std::string(4001, 'x')}};
  EXPECT_EQ(validate(pipeline(), long_prompt).error().fields.at(0).type, "string_too_long");
}

TEST(text_to_image, every_picture_of_a_batch_has_a_seed_that_can_be_asked_for_again) {
  const auto with = [](const json::value& seed, int pictures) {
    return validate(
        pipeline(),
        json::object{{"prompt", "x"}, {"seed", seed}, {"num_images_per_prompt", pictures}});
  };
  EXPECT_TRUE(with(9007199254740989, 3));
  for (const std::int64_t seed : {9007199254740990, 9007199254740991}) {
    const auto refused = with(seed, 3);
    ASSERT_FALSE(refused) << seed;
    EXPECT_EQ(refused.error().fields.at(0).loc, (std::vector<std::string>{"body", "seed"}));
    EXPECT_EQ(refused.error().fields.at(0).type, "less_than_equal");
    EXPECT_THAT(refused.error().fields.at(0).msg, testing::HasSubstr("9007199254740989"));
  }
}

TEST(text_to_image, seeds_of_other_programs_are_refused_with_advice) {
  for (const json::value& seed : std::initializer_list<json::value>{
           18446744073709551615U, "18446744073709551615", "9007199254740992", 1e30, -1, "-1"}) {
    const auto refused = validate(pipeline(), json::object{{"prompt", "x"}, {"seed", seed}});
    ASSERT_FALSE(refused) << seed;
    const std::string& msg = refused.error().fields.at(0).msg;
    EXPECT_THAT(msg, testing::AllOf(testing::HasSubstr("Leave it out for a random one"),
                                    testing::HasSubstr("remainder by 2^53")));
  }
}

TEST(text_to_image, samplers_are_named_or_classes) {
  const auto with = [](const char* name, const json::value& value) {
    return validate(pipeline(), json::object{{"prompt", "x"}, {name, value}});
  };
  for (const char* right : {"", "euler_a", "dpm++_2m_karras", "DDIMScheduler", "TCDScheduler"}) {
    EXPECT_TRUE(with("scheduler", right)) << right;
  }
  const auto bogus = with("scheduler", "bogus");
  ASSERT_FALSE(bogus);
  EXPECT_EQ(bogus.error().fields.at(0).type, "enum");
  EXPECT_THAT(bogus.error().fields.at(0).msg,
              testing::AllOf(testing::HasSubstr("should be 'ddim'"), testing::HasSubstr("unipc")));
  for (const char* share : {"eta", "guidance_rescale"}) {
    EXPECT_TRUE(with(share, 1)) << share;
    EXPECT_EQ(with(share, 1.01).error().fields.at(0).type, "less_than_equal");
    EXPECT_EQ(with(share, -0.1).error().fields.at(0).type, "greater_than_equal");
  }
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
