// SPDX-License-Identifier: MIT
// A model that only a hub has: jobs say how far its download is, and draw when it is there.
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "runtime/base/bytes.hpp"
#include "tests/pictures/example_cluster.hpp"
#include "tests/support/fault_hub.hpp"
#include "tests/support/shapes_repository.hpp"

namespace lp::testing {
namespace {

namespace fs = std::filesystem;

class hub_model : public ::testing::Test {
 protected:
  hub_model() {
    fs::create_directories(models_);
    ::setenv("HF_ENDPOINT", hub_.endpoint().c_str(), 1);
  }
  ~hub_model() override {
    hub_.release();
    ::unsetenv("HF_ENDPOINT");
    fs::remove_all(models_);
  }

  std::string config() const {
    return fmt::format(R"(
log = "error"
[cluster]
id = "test"
[models]
dir = "{}"
pull = ["hf://me/shapes"]
[[gateway]]
name = "gateway"
http = "127.0.0.1:0"
orchestrators = ["orch"]
job_timeout = "3s"
[[orchestrator]]
name = "orch"
listen = "127.0.0.1:0"
[[worker]]
name = "worker"
orchestrator = "orch"
)",
                       models_.string());
  }

  const fs::path models_ = fs::temp_directory_path() / ("lp_hub_model_" + random_hex(8));
  fault_hub hub_{shapes_repository()};
};

TEST_F(hub_model, is_pulled_when_it_is_first_asked_for) {
  hub_.expect(std::deque<fault_hub::fault>(64, fault_hub::fault::held));
  test_cluster cluster(config());
  const gateway_client client = cluster.client();
  const auto ask = [&] {
    return client.post("/text-to-image", R"({"model_id":"me/shapes","prompt":"a red circle",
        "width":64,"height":64,"seed":3,"num_inference_steps":1})");
  };
  const answer early = ask();
  EXPECT_EQ(early.status, 503U) << early.text;
  EXPECT_NE(early.text.find("me/shapes is not here yet"), std::string::npos) << early.text;
  EXPECT_NE(early.text.find("% pulled"), std::string::npos) << early.text;
  EXPECT_FALSE(fs::exists(models_ / "me/shapes/model_index.json"));

  hub_.release();
  answer drawn;
  EXPECT_TRUE(eventually([&] { return (drawn = ask()).status == 200; })) << drawn.text;
  EXPECT_EQ(drawn.body.at("job").at("model").as_string(), "me/shapes");
  EXPECT_EQ(decoded(picture_file(client, drawn)).width, 64U);
  EXPECT_TRUE(fs::exists(models_ / "me/shapes/model_index.json"));
}

}  // namespace
}  // namespace lp::testing
