// SPDX-License-Identifier: MIT
// What jobs with pictures would cost, told from their sizes or the pictures themselves.
#include <gtest/gtest.h>

#include "tests/cluster.hpp"
#include "tests/pictures/example_cluster.hpp"

namespace lp::testing {
namespace {

class picture_quotes : public ::testing::Test {
 protected:
  answer quote(const std::string& request) {
    return client.post("/quote", R"({"pipeline": "image-to-image", "request": )" + request + "}");
  }
  static double units(const answer& a) {
    return a.body.at("quotes").at(0).at("units").to_number<double>();
  }

  test_cluster cluster{example()};
  gateway_client client = cluster.client();
};

TEST_F(picture_quotes, by_size_and_by_file_are_the_same) {
  const answer told = quote(
      R"({"prompt": "a red circle", "image": {"width": 64, "height": 32}, "num_inference_steps": 5})");
  ASSERT_EQ(told.status, 200U) << told.text;
  EXPECT_EQ(units(told), 64 * 32 * 5);
  EXPECT_EQ(told.body.at("unit").as_string(), "pixel-step");

  net::form_writer form;
  form.add_file("image", "a.png", "image/png", read_file(LP_SOURCE_DIR "/examples/picture.png"));
  form.add("prompt", "a red circle");
  form.add("num_inference_steps", "5");
  form.add("pipeline", "image-to-image");
  const answer sent = client.post_form("/quote", std::move(form));
  ASSERT_EQ(sent.status, 200U) << sent.text;
  EXPECT_EQ(units(sent), 64 * 64 * 5);
}

TEST_F(picture_quotes, name_what_is_wrong_as_the_pipeline_itself_does) {
  const auto refused = [&](const std::string& request, const char* part) {
    const answer a = quote(request);
    EXPECT_EQ(a.status, 422U) << a.text;
    EXPECT_NE(a.text.find(part), std::string::npos) << a.text;
  };
  refused(R"({"prompt": "x"})", "Field required");
  refused(R"({"prompt": "x", "image": "picture.png"})", "Input should be {");
  refused(R"({"prompt": "x", "image": {"width": 64}})", "Input should be {");
  refused(R"({"prompt": "x", "image": {"width": -1, "height": 64}})", "Input should be {");
  refused(R"({"prompt": "x", "image": {"width": 60000, "height": 60000}})", "pixels");
  refused(R"({"image": {"width": 64, "height": 64}})", "prompt");
  net::form_writer form;
  form.add("prompt", "x");
  EXPECT_EQ(client.post_form("/quote", std::move(form)).status, 422U);
}

}  // namespace
}  // namespace lp::testing
