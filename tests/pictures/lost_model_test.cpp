// SPDX-License-Identifier: MIT
// A model's folder that goes away under a job: the job is told, the node goes on.
#include <filesystem>
#include <future>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "pipelines/engine/convert_weights.hpp"
#include "runtime/base/bytes.hpp"
#include "tests/pictures/example_cluster.hpp"

namespace lp::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class lost_model : public ::testing::Test {
 protected:
  lost_model() { put(); }
  ~lost_model() override { fs::remove_all(models_); }

  void put() const {
    fs::create_directories(models_);
    fs::copy(LP_SOURCE_DIR "/examples/models/shapes-64", models_ / "shapes",
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    // Weights that are computed with as they are stay in their file.
    for (const auto& file : weights()) {
      ASSERT_TRUE(engine::convert_weights(file, file, "fp32"));
    }
  }
  std::vector<fs::path> weights() const {
    std::vector<fs::path> out;
    for (const auto& entry : fs::recursive_directory_iterator(models_)) {
      if (entry.path().extension() == ".safetensors") out.push_back(entry.path());
    }
    return out;
  }
  std::string config() const {
    return fmt::format(R"(
log = "off"
[cluster]
id = "test"
[models]
dir = "{}"
[[gateway]]
name = "gateway"
http = "127.0.0.1:0"
orchestrators = ["orch"]
[[orchestrator]]
name = "orch"
listen = "127.0.0.1:0"
[[worker]]
name = "worker"
orchestrator = "orch"
device = "cpu:1"
)",
                       models_.string());
  }
  static answer draw(const gateway_client& client, int steps) {
    return client.post("/text-to-image",
                       fmt::format(R"({{"prompt":"a red circle","width":64,"height":64,"seed":3,)"
                                   R"("num_inference_steps":{}}})",
                                   steps));
  }

  const fs::path models_ = fs::temp_directory_path() / ("lp_lost_model_" + random_hex(8));
};

TEST_F(lost_model, fails_its_job_and_is_loaded_anew_when_it_is_back) {
  test_cluster cluster(config());
  const gateway_client client = cluster.client();
  const answer first = draw(client, 2);
  ASSERT_EQ(first.status, 200U) << first.text;
  auto pending = std::async(std::launch::async, [&] { return draw(client, 150); });
  ASSERT_TRUE(eventually(
      [&] { return client.orchestrators().front().at("running").to_number<int>() > 0; }));
  for (const auto& file : weights()) ASSERT_EQ(::truncate(file.c_str(), 100), 0);
  const answer lost = pending.get();
  EXPECT_EQ(lost.status, 503U) << lost.text;
  // Whether the files went before the run began, and the model was to be loaded anew, or under it.
  EXPECT_THAT(lost.text, ::testing::AnyOf(HasSubstr("can no longer be read"),
                                          HasSubstr("cannot load shapes")));
  EXPECT_THAT(lost.text, Not(HasSubstr(models_.string())));
  EXPECT_NE(draw(client, 2).status, 200U) << "a cut file is no model";
  put();
  const answer again = draw(client, 2);
  ASSERT_EQ(again.status, 200U) << again.text;
  EXPECT_EQ(picture_file(client, again), picture_file(client, first));
}

}  // namespace
}  // namespace lp::testing
