// SPDX-License-Identifier: MIT
// HTTP request in, picture out, looked at: through every node of the example configuration.
#include <gtest/gtest.h>

#include <fmt/core.h>

#include "tests/pictures/example_cluster.hpp"

namespace lp::testing {
namespace {

class cluster_pictures : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = std::make_unique<test_cluster>(example()); }
  static void TearDownTestSuite() { cluster_.reset(); }

  pipelines::rgb_image download(const answer& a) { return decoded(picture_file(client_, a)); }

  inline static std::unique_ptr<test_cluster> cluster_;
  gateway_client client_ = cluster_->client();
};

TEST_F(cluster_pictures, show_what_the_prompt_says) {
  const answer a =
      client_.post("/text-to-image",
                   R"({"prompt":"a red circle on a blue background","seed":7,"width":64,"height":64,
          "num_inference_steps":20})");
  ASSERT_EQ(a.status, 200U) << a.text;
  EXPECT_EQ(a.body.at("images").at(0).at("seed").as_int64(), 7);
  EXPECT_EQ(a.body.at("images").at(0).at("nsfw").as_bool(), false);
  EXPECT_EQ(a.body.at("job").at("model").as_string(), "shapes-64");
  const auto image = download(a);
  EXPECT_EQ(image.width, 64U);
  const seen_picture picture = seen(image);
  EXPECT_EQ(colour(picture.background), "blue");
  ASSERT_FALSE(picture.objects.empty());
  EXPECT_EQ(colour(picture.objects.front().colour), "red");
}

// What the official client library sends when only a prompt is given.
TEST_F(cluster_pictures, of_another_size_are_resized_and_say_so) {
  const answer a = client_.post(
      "/text-to-image",
      R"({"model_id":"","loras":"","prompt":"a green square on a white background","height":576,
          "width":1024,"guidance_scale":7.5,"negative_prompt":"","safety_check":true,
          "num_inference_steps":20,"num_images_per_prompt":1})");
  ASSERT_EQ(a.status, 200U) << a.text;
  const auto image = download(a);
  EXPECT_EQ(image.width, 1024U);
  EXPECT_EQ(image.height, 576U);
  EXPECT_EQ(colour(seen(image).background), "white");
  EXPECT_NE(a.text.find("64x64"), std::string::npos) << a.text;
}

TEST_F(cluster_pictures, several_use_seeds_one_after_the_other) {
  const auto ask = [&](int seed, int count) {
    return client_.post("/text-to-image?media=data",
                        fmt::format(R"({{"prompt":"a yellow star on a black background",
                                         "seed":{},"num_images_per_prompt":{},"width":64,
                                         "height":64,"num_inference_steps":4}})",
                                    seed, count));
  };
  const answer both = ask(41, 2);
  ASSERT_EQ(both.status, 200U) << both.text;
  const auto& images = both.body.at("images").as_array();
  ASSERT_EQ(images.size(), 2U);
  EXPECT_EQ(images[0].at("seed").as_int64(), 41);
  EXPECT_EQ(images[1].at("seed").as_int64(), 42);
  EXPECT_NE(images[0].at("url"), images[1].at("url"));
  // A picture depends on its own seed and on nothing else in the batch.
  EXPECT_EQ(ask(42, 1).body.at("images").at(0).at("url"), images[1].at("url"));
}

TEST_F(cluster_pictures, without_a_seed_get_a_random_one_that_is_told) {
  const std::string body = R"({"prompt":"a ring","width":64,"height":64,"num_inference_steps":1})";
  const answer first = client_.post("/text-to-image", body);
  const answer second = client_.post("/text-to-image", body);
  ASSERT_EQ(first.status, 200U) << first.text;
  EXPECT_NE(first.body.at("images").at(0).at("seed"), second.body.at("images").at(0).at("seed"));
}

TEST_F(cluster_pictures, of_impossible_sizes_are_refused_with_the_range) {
  const answer a = client_.post("/text-to-image", R"({"prompt":"x","width":9000})");
  EXPECT_EQ(a.status, 422U);
  EXPECT_NE(a.text.find("width"), std::string::npos) << a.text;
  EXPECT_NE(a.text.find("2048"), std::string::npos) << a.text;
}

TEST_F(cluster_pictures, go_to_a_worker_that_has_the_model_warm) {
  for (int i = 0; i < 3; ++i) {
    const answer a = client_.post(
        "/text-to-image", R"({"prompt":"a ring","width":64,"height":64,"num_inference_steps":1})");
    ASSERT_EQ(a.status, 200U) << a.text;
    EXPECT_NE(a.route().at(2), "worker-2") << a.text;  // the only one without it
  }
}

}  // namespace
}  // namespace lp::testing
