// SPDX-License-Identifier: MIT
// A classifier that is plugged in, asked through a whole cluster.
#include <gtest/gtest.h>

#include <fmt/core.h>

#include "tests/pictures/example_cluster.hpp"

namespace lp::testing {
namespace {

// worker-1 has a classifier that takes offence at red; the others have none.
TEST(safety, nsfw_is_what_the_workers_classifier_says) {
  const std::string plain = "device = \"cpu\" ";
  std::string config = example();
  config.replace(config.find(plain), plain.size(),
                 fmt::format("safety = \"{}\"\n{}", LP_RED_CLASSIFIER, plain));
  test_cluster cluster(config);
  const gateway_client client = cluster.client();
  const auto ask = [&](const std::string& prompt, bool check) {
    return client.post("/text-to-image",
                       fmt::format(R"({{"prompt":"{}","seed":7,"width":64,"height":64,
                                         "num_inference_steps":20,"safety_check":{}}})",
                                   prompt, check));
  };
  int checked = 0;
  for (int i = 0; i < 4; ++i) {
    const bool red = i % 2 == 0;
    const answer a = ask(
        red ? "a red circle on a blue background" : "a white circle on a blue background", true);
    ASSERT_EQ(a.status, 200U) << a.text;
    const bool looked = a.route().at(2) == "worker-1";
    checked += looked ? 1 : 0;
    EXPECT_EQ(a.body.at("job").at("safety_checked_by").is_string(), looked) << a.text;
    EXPECT_EQ(a.body.at("images").at(0).at("nsfw").as_bool(), looked && red) << a.text;
  }
  EXPECT_GT(checked, 0);
  const answer unasked = ask("a red circle on a blue background", false);
  EXPECT_TRUE(unasked.body.at("job").at("safety_checked_by").is_null()) << unasked.text;
  EXPECT_FALSE(unasked.body.at("images").at(0).at("nsfw").as_bool());
}

TEST(safety, a_library_without_a_classifier_is_refused_by_name) {
  const std::string plain = "device = \"cpu\" ";
  std::string config = example();
  config.replace(config.find(plain), plain.size(),
                 fmt::format("safety = \"libm.so.6\"\n{}", plain));
  EXPECT_THROW(test_cluster{config}, std::runtime_error);
}

}  // namespace
}  // namespace lp::testing
