// SPDX-License-Identifier: MIT
// A classifier that is plugged in, or a safety checker, asked through a whole cluster.
#include <filesystem>
#include <fstream>
#include <regex>

#include <gtest/gtest.h>

#include <fmt/core.h>
#include <boost/json.hpp>

#include "runtime/base/bytes.hpp"
#include "tests/pictures/example_cluster.hpp"
#include "tests/support/colour_checker.hpp"

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

/// A models folder that holds the embedded model with a safety checker of its own.
class checked_model {
 public:
  checked_model() {
    std::filesystem::copy(LP_SOURCE_DIR "/examples/models/shapes-64", model_,
                          std::filesystem::copy_options::recursive);
    colour_checker::write(model_);
    auto index = boost::json::parse(read_file(model_ / "model_index.json")).as_object();
    index["safety_checker"] = {"stable_diffusion", "StableDiffusionSafetyChecker"};
    std::ofstream(model_ / "model_index.json") << boost::json::serialize(index);
  }
  ~checked_model() { std::filesystem::remove_all(root_); }

  const std::filesystem::path& folder() const { return model_; }
  std::string config() const {
    return std::regex_replace(example(), std::regex(R"(dir = "examples/models")"),
                              fmt::format("dir = \"{}\"", root_.string()));
  }

 private:
  std::filesystem::path root_ =
      std::filesystem::temp_directory_path() / ("lp_checked_" + random_hex(8));
  std::filesystem::path model_ = [this] {
    std::filesystem::create_directories(root_);
    return root_ / "shapes-64";
  }();
};

answer draw(const gateway_client& client, const std::string& prompt, bool check) {
  return client.post("/text-to-image",
                     fmt::format(R"({{"prompt":"{}","seed":7,"width":64,"height":64,
                                      "num_inference_steps":20,"safety_check":{}}})",
                                 prompt, check));
}

TEST(safety, nsfw_is_what_the_models_own_checker_says) {
  const checked_model model;
  test_cluster cluster(model.config());
  const gateway_client client = cluster.client();
  const answer red = draw(client, "a blue circle on a red background", true);
  ASSERT_EQ(red.status, 200U) << red.text;
  EXPECT_TRUE(red.body.at("images").at(0).at("nsfw").as_bool()) << red.text;
  EXPECT_EQ(red.body.at("job").at("safety_checked_by").as_string(),
            (model.folder() / "safety_checker").string());
  const answer blue = draw(client, "a green circle on a blue background", true);
  ASSERT_EQ(blue.status, 200U) << blue.text;
  EXPECT_FALSE(blue.body.at("images").at(0).at("nsfw").as_bool()) << blue.text;
  EXPECT_TRUE(blue.body.at("job").at("safety_checked_by").is_string());
  const answer unasked = draw(client, "a blue circle on a red background", false);
  EXPECT_FALSE(unasked.body.at("images").at(0).at("nsfw").as_bool());
  EXPECT_TRUE(unasked.body.at("job").at("safety_checked_by").is_null());
}

TEST(safety, a_checker_that_cannot_look_fails_the_job) {
  const checked_model model;
  std::filesystem::resize_file(model.folder() / "safety_checker/model.safetensors", 3000);
  test_cluster cluster(model.config());
  const answer asked = draw(cluster.client(), "a red circle on a blue background", true);
  EXPECT_GE(asked.status, 500U) << asked.text;
  EXPECT_NE(asked.text.find("safety check"), std::string::npos) << asked.text;
  const answer unasked = draw(cluster.client(), "a red circle on a blue background", false);
  EXPECT_EQ(unasked.status, 200U) << unasked.text;
}

/// The example with these lines in every worker.
std::string with_workers(const std::string& lines) {
  return std::regex_replace(example(), std::regex("\\n\\[\\[worker\\]\\]"),
                            "\n[[worker]]\n" + lines);
}

TEST(safety, a_workers_folder_looks_at_models_that_have_none) {
  const checked_model model;
  test_cluster cluster(with_workers(fmt::format("safety = \"{}\"", model.folder().string())));
  const answer red = draw(cluster.client(), "a blue circle on a red background", true);
  ASSERT_EQ(red.status, 200U) << red.text;
  EXPECT_TRUE(red.body.at("images").at(0).at("nsfw").as_bool()) << red.text;
}

TEST(safety, a_model_runs_without_its_checkers_weights) {
  const checked_model model;
  std::filesystem::remove(model.folder() / "safety_checker/model.safetensors");
  test_cluster cluster(model.config());
  const answer a = draw(cluster.client(), "a blue circle on a red background", true);
  ASSERT_EQ(a.status, 200U) << a.text;
  EXPECT_TRUE(a.body.at("job").at("safety_checked_by").is_null()) << a.text;
}

TEST(safety, a_workers_checker_counts_in_its_memory) {
  const checked_model model;
  const auto config = with_workers(
      fmt::format("safety = \"{}\"\nmemory_limit = \"1 KiB\"", model.folder().string()));
  try {
    const test_cluster cluster(config);
    ADD_FAILURE() << "a cluster with less memory than its checker takes";
  } catch (const std::runtime_error& refused) {
    EXPECT_NE(std::string(refused.what()).find("memory_limit: 1.0 KiB is no more than safety"),
              std::string::npos)
        << refused.what();
  }
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
