// SPDX-License-Identifier: MIT
// A form with a picture in, a picture out, looked at: through every node of the
// example cluster.
#include <gtest/gtest.h>

#include <fmt/core.h>

#include "tests/media/file_makers.hpp"
#include "tests/pictures/example_cluster.hpp"

namespace lp::testing {
namespace {

class image_to_image : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = std::make_unique<test_cluster>(example()); }
  static void TearDownTestSuite() { cluster_.reset(); }

  // A drawn scene as a PNG file.
  std::string draw(const std::string& prompt) {
    const answer a = client_.post(
        "/text-to-image",
        fmt::format(R"({{"prompt":"{}","seed":7,"width":64,"height":64,"num_inference_steps":20}})",
                    prompt));
    EXPECT_EQ(a.status, 200U) << a.text;
    return picture_file(client_, a);
  }

  net::form_writer form(const std::string& image, const std::string& prompt, double strength) {
    net::form_writer f;
    f.add("strength", fmt::format("{}", strength));
    f.add_file("image", "blob", "application/octet-stream", image);
    f.add("prompt", prompt);
    f.add("seed", "7");
    f.add("num_inference_steps", "20");
    return f;
  }

  inline static std::unique_ptr<test_cluster> cluster_;
  gateway_client client_ = cluster_->client();
};

TEST_F(image_to_image, recolours_by_prompt_and_strength) {
  const std::string red = draw("a red circle on a blue background");
  const answer strong =
      client_.post_form("/image-to-image", form(red, "a green circle on a blue background", 0.95));
  ASSERT_EQ(strong.status, 200U) << strong.text;
  EXPECT_EQ(strong.body.at("images").at(0).at("seed").as_int64(), 7);
  const auto drawn = decoded(picture_file(client_, strong));
  EXPECT_EQ(drawn.width, 64U);
  EXPECT_EQ(drawn.height, 64U);
  const seen_picture after = seen(drawn);
  EXPECT_EQ(colour(after.background), "blue");
  ASSERT_FALSE(after.objects.empty());
  EXPECT_EQ(colour(after.objects.front().colour), "green");

  // With little strength the shape stays in its place.
  const answer weak =
      client_.post_form("/image-to-image", form(red, "a green circle on a blue background", 0.3));
  ASSERT_EQ(weak.status, 200U) << weak.text;
  const seen_picture first = seen(decoded(red));
  const seen_picture same = seen(decoded(picture_file(client_, weak)));
  ASSERT_FALSE(first.objects.empty());
  ASSERT_FALSE(same.objects.empty());
  EXPECT_EQ(colour(same.objects.front().colour), "green");
  EXPECT_NEAR(same.objects.front().x0, first.objects.front().x0, 6);
  EXPECT_NEAR(same.objects.front().y1, first.objects.front().y1, 6);
}

// Each scan is work on every block of sixteen million pixels. Were it done between the steps of
// other jobs, or without an end, the second job would wait for it.
TEST_F(image_to_image, a_costly_file_is_refused) {
  const std::string costly = many_scans(4096, 60000);
  const answer refused = client_.post_form("/image-to-image", form(costly, "a red square", 0.5));
  EXPECT_EQ(refused.status, 422U) << refused.text;
  EXPECT_NE(refused.text.find("scans"), std::string::npos) << refused.text;
  EXPECT_NE(refused.text.find("image"), std::string::npos) << refused.text;
  EXPECT_EQ(
      client_.post("/text-to-image", R"({"prompt":"a red circle","num_inference_steps":2})").status,
      200U);
}

// What an editor of pictures exports: white strokes, and nothing elsewhere.
TEST_F(image_to_image, repaints_where_the_strokes_of_a_transparent_mask_are) {
  const auto flat = [](std::uint32_t channels, const std::string& left, const std::string& right) {
    std::string rows;
    for (int y = 0; y < 64; ++y) {
      rows += '\0';
      for (int x = 0; x < 64; ++x) rows += x < 32 ? left : right;
    }
    return make_png({64, 64, 8, channels == 3 ? 2 : 6, rows, {}, {}});
  };
  const std::string blue("\x1e\x3c\xdc", 3);
  const std::string image = flat(3, blue, blue);
  auto f = form(image, "a red circle on a yellow background", 1);
  f.add_file("mask_image", "blob", "application/octet-stream",
             flat(4, "\xff\xff\xff\xff", std::string(4, '\0')));
  const answer a = client_.post_form("/image-to-image", std::move(f));
  ASSERT_EQ(a.status, 200U) << a.text;
  const auto drawn = decoded(picture_file(client_, a));
  // The mean difference from the blue of a half, without what lies near the other one.
  const auto changed = [&](std::uint32_t from) {
    double sum = 0;
    for (std::uint32_t y = 0; y < 64; ++y) {
      for (std::uint32_t x = from; x < from + 20; ++x) {
        for (std::size_t c = 0; c < 3; ++c) {
          sum += std::abs(static_cast<unsigned char>(drawn.pixels[(y * 64 + x) * 3 + c]) -
                          static_cast<unsigned char>(blue[c]));
        }
      }
    }
    return sum / (64 * 20 * 3);
  };
  EXPECT_GT(changed(0), 40);
  EXPECT_LT(changed(44), 20);
}

TEST_F(image_to_image, takes_every_kind_of_file) {
  for (const char* name : {"photo.jpg", "orientation_6.jpg", "lossy.webp", "animated.gif",
                           "rgba16.png", "gray.jpg", "cmyk.jpg"}) {
    const std::string file = read_file(std::string(LP_SOURCE_DIR "/tests/data/images/") + name);
    auto f = form(file, "a red square", 0.05);
    const answer a = client_.post_form("/image-to-image", std::move(f));
    ASSERT_EQ(a.status, 200U) << name << a.text;
    const auto image = decoded(picture_file(client_, a));
    EXPECT_GT(image.width, image.height) << name << " is upright";
  }
}

TEST_F(image_to_image, a_damaged_picture_is_named) {
  std::string file = read_file(LP_SOURCE_DIR "/tests/data/images/photo.jpg");
  file.resize(file.size() - 40);  // its header is right: the worker finds it out
  const answer a = client_.post_form("/image-to-image", form(file, "a circle", 0.5));
  EXPECT_EQ(a.status, 422U) << a.text;
  EXPECT_NE(a.text.find("\"image\""), std::string::npos) << a.text;
  EXPECT_NE(a.text.find("damaged"), std::string::npos) << a.text;
}

}  // namespace
}  // namespace lp::testing
