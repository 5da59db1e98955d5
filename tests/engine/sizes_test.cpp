// SPDX-License-Identifier: MIT
#include "pipelines/engine/sizes.hpp"

#include <filesystem>
#include <fstream>

#include <ATen/ATen.h>
#include <gmock/gmock.h>

namespace lp::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

result<model_facts> facts_of(const std::string& text) {
  const auto folder = fs::path(::testing::TempDir()) / "lp_sizes_test";
  fs::create_directories(folder);
  std::ofstream(folder / "lp_model.json") << text;
  return read_model_facts(folder, 8);
}

TEST(model_facts, are_read_and_all_optional) {
  const auto facts = facts_of(R"({"sizes": [[64, 64], [96, 64]], "default_steps": 20,
                                  "max_guidance": 2.5, "description": "shapes", "licence": "MIT", "more": 1})");
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_THAT(facts->sizes, ElementsAre(picture_size{64, 64}, picture_size{96, 64}));
  EXPECT_EQ(facts->default_steps, 20);
  EXPECT_EQ(facts->max_guidance, 2.5);
  EXPECT_EQ(facts->licence, "MIT");
  EXPECT_EQ(facts_of(R"({"loras": {"a": 1, "b": 0.5}})")->loras,
            (std::map<std::string, double>{{"a", 1}, {"b", 0.5}}));
  EXPECT_TRUE(facts_of("{}"));
  EXPECT_TRUE(read_model_facts("/nonexistent", 8)->sizes.empty());
}

TEST(model_facts, name_the_wrong_member) {
  for (const auto* text :
       {R"({"sizes": 64})", R"({"sizes": []})", R"({"sizes": [[64]]})", R"({"sizes": [[64, 63]]})",
        R"({"sizes": [[0, 64]]})", R"({"sizes": [[64, 4096]]})", R"({"sizes": [["64", "64"]]})"}) {
    const auto facts = facts_of(text);
    ASSERT_FALSE(facts) << text;
    EXPECT_EQ(facts.error().code, ec::bad_file);
    EXPECT_THAT(facts.error().message, HasSubstr("lp_model.json"));
    EXPECT_THAT(facts.error().message, HasSubstr("sizes"));
  }
  EXPECT_THAT(facts_of(R"({"loras": ["a"]})").error().message, HasSubstr("loras"));
  EXPECT_THAT(facts_of(R"({"loras": {"a": "much"}})").error().message, HasSubstr("loras"));
  EXPECT_THAT(facts_of(R"({"default_steps": "many"})").error().message, HasSubstr("default_steps"));
}

TEST(plan_size, draws_at_the_nearest_aspect_and_then_area) {
  const std::vector<picture_size> trained{{64, 64}, {128, 128}, {128, 72}, {72, 128}};
  EXPECT_EQ(plan_size({1024, 576}, trained, 8)->drawn, (picture_size{128, 72}));
  EXPECT_EQ(plan_size({300, 512}, trained, 8)->drawn, (picture_size{72, 128}));
  EXPECT_EQ(plan_size({512, 512}, trained, 8)->drawn, (picture_size{128, 128}));
  EXPECT_EQ(plan_size({70, 70}, trained, 8)->drawn, (picture_size{64, 64}));
  const auto plan = plan_size({1024, 576}, {{64, 64}}, 8);
  EXPECT_TRUE(plan->resizes());
  EXPECT_EQ(plan->note(), "drawn at 64x64 and resized to 1024x576");
  EXPECT_EQ(plan_size({64, 64}, {{64, 64}}, 8)->note(), "");
}

TEST(plan_size, refuses_impossible_sizes_by_name_and_range) {
  const auto refusal = [](picture_size wanted, std::vector<picture_size> trained = {}) {
    const auto plan = plan_size(wanted, trained, 8);
    EXPECT_FALSE(plan) << to_string(wanted);
    EXPECT_EQ(plan.error().code, ec::invalid_parameters);
    EXPECT_EQ(plan.error().fields.size(), 1U);
    return plan.error().message;
  };
  EXPECT_THAT(refusal({512, 0}), HasSubstr("height"));
  EXPECT_THAT(refusal({512, 56}), HasSubstr("from 64 to 2048"));
  EXPECT_THAT(refusal({2056, 512}), HasSubstr("width"));
  EXPECT_THAT(refusal({514, 512}), HasSubstr("multiple of 8"));
  EXPECT_THAT(refusal({-8, 512}), HasSubstr("width"));
  EXPECT_THAT(refusal({4096, 512}, {{64, 64}}), HasSubstr("width"));
  EXPECT_TRUE(plan_size({514, 511}, {{64, 64}}, 8));
  EXPECT_TRUE(plan_size({2048, 2048}, {}, 8));
}

TEST(resize_picture, keeps_flat_colours_and_means) {
  auto picture = at::full({1, 3, 64, 64}, 0.25);
  picture.narrow(3, 32, 32).fill_(0.75);
  const auto big = resize_picture(picture, {1024, 576});
  ASSERT_EQ(big.sizes(), (at::IntArrayRef{1, 3, 576, 1024}));
  EXPECT_NEAR(big[0][0][288][100].item<double>(), 0.25, 1e-5);
  EXPECT_NEAR(big[0][1][288][900].item<double>(), 0.75, 1e-5);
  EXPECT_NEAR(big.mean().item<double>(), 0.5, 1e-3);
  // A fine chequerboard shrinks to grey: without antialiasing it would be black or white.
  auto chequered = at::zeros({1, 1, 128, 128});
  for (int i = 0; i < 128; ++i)
    for (int j = i % 2; j < 128; j += 2) chequered[0][0][i][j] = 1.0F;
  const auto small = resize_picture(chequered, {16, 16});
  EXPECT_LT((small - 0.5).abs().max().item<double>(), 0.05);
}

}  // namespace
}  // namespace lp::engine
