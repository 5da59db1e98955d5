// SPDX-License-Identifier: MIT
// Forms with a picture, as the descriptions check them.
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <boost/json/parse.hpp>

#include "pipelines/description.hpp"

namespace lp::pipelines {
namespace {

namespace json = boost::json;

std::string picture(const std::string& name) {
  std::ifstream in(LP_SOURCE_DIR "/tests/data/images/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

result<json::object> checked(const char* pipeline, const json::object& fields,
                             const std::string& image) {
  const given_file file{"image", image};
  return validate(*find(pipeline), fields, {&file, 1});
}

TEST(image_to_image, has_the_references_defaults) {
  const auto params = checked("image-to-image", {{"prompt", "a dog"}}, picture("rgb.png"));
  ASSERT_TRUE(params) << render(params.error());
  const json::value expected = json::parse(R"({
    "prompt": "a dog", "image": {"format": "image/png", "width": 48, "height": 32, "bytes": 129},
    "model_id": "", "loras": "", "strength": 0.8, "guidance_scale": 7.5,
    "image_guidance_scale": 1.5, "negative_prompt": "", "safety_check": true,
    "num_inference_steps": 100, "num_images_per_prompt": 1,
    "scheduler": "", "clip_skip": 0, "eta": 0.0, "guidance_rescale": 0.0})");
  EXPECT_EQ(*params, expected.as_object());
  EXPECT_EQ(find("image-to-image")->units(*params), 48 * 32 * 100);
}

TEST(upscale, has_the_references_defaults) {
  const auto params = checked("upscale", {{"prompt", ""}}, picture("rgb.png"));
  ASSERT_TRUE(params) << render(params.error());
  const json::value expected = json::parse(R"({
    "prompt": "", "image": {"format": "image/png", "width": 48, "height": 32, "bytes": 129},
    "model_id": "", "safety_check": true, "num_inference_steps": 75})");
  EXPECT_EQ(*params, expected.as_object());
  EXPECT_EQ(find("upscale")->units(*params), 48 * 32 * 75);
}

TEST(image_to_image, tells_a_turned_pictures_size_as_it_is_seen) {
  const auto params = checked("upscale", {{"prompt", ""}}, picture("orientation_6.jpg"));
  ASSERT_TRUE(params) << render(params.error());
  EXPECT_EQ(params->at("image").at("width").to_number<int>(), 48);
  EXPECT_EQ(params->at("image").at("format"), "image/jpeg");
}

TEST(image_to_image, names_a_wrong_picture_with_the_other_wrong_fields) {
  std::string huge = picture("rgb.png");
  huge[18] = huge[22] = '\x1f';  // 7984 x 7968: sides that are allowed, pixels that are not
  const std::pair<std::string, const char*> wrong[] = {
      {"a text", "image_format"},
      {"", "image_format"},
      {picture("rgb.png").substr(0, 20), "image_damaged"},
      {picture("animated.webp"), "image_format"},
      {huge, "image_size"}};
  for (const auto& [image, type] : wrong) {
    const auto params = checked("image-to-image", {{"prompt", "x"}, {"strength", 1.5}}, image);
    ASSERT_FALSE(params);
    ASSERT_EQ(params.error().fields.size(), 2U);
    EXPECT_EQ(params.error().fields[0].loc, (std::vector<std::string>{"body", "image"}));
    EXPECT_EQ(params.error().fields[0].type, type) << params.error().fields[0].msg;
    EXPECT_EQ(params.error().fields[1].loc.back(), "strength");
  }
}

TEST(image_to_image, needs_a_picture_and_a_prompt) {
  const auto params = validate(*find("image-to-image"), json::object{{"prompt", ""}});
  ASSERT_FALSE(params);
  ASSERT_EQ(params.error().fields.size(), 2U);
  EXPECT_EQ(params.error().fields[0].type, "string_too_short");
  EXPECT_EQ(params.error().fields[1].type, "missing");
}

TEST(image_to_image, every_picture_of_a_batch_has_a_seed_that_can_be_asked_for_again) {
  const json::object fields{
      {"prompt", "x"}, {"seed", "9007199254740991"}, {"num_images_per_prompt", "2"}};
  const auto params = checked("image-to-image", fields, picture("rgb.png"));
  ASSERT_FALSE(params);
  EXPECT_EQ(params.error().fields.at(0).loc.back(), "seed");
}

TEST(form_values, an_empty_text_stands_for_an_absent_number) {
  const std::pair<std::string, std::string_view> fields[] = {
      {"prompt", ""}, {"seed", ""}, {"strength", ""}, {"loras", ""}, {"unknown", ""}};
  EXPECT_EQ(form_values(*find("image-to-image"), fields),
            (json::object{{"prompt", ""}, {"loras", ""}, {"unknown", ""}}));
}

}  // namespace
}  // namespace lp::pipelines
