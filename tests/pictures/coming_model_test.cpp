// SPDX-License-Identifier: MIT
// A model that is copied into the folder of a running cluster.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/bytes.hpp"
#include "tests/pictures/example_cluster.hpp"

namespace lp::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

const fs::path shapes = LP_SOURCE_DIR "/examples/models/shapes-64";

class coming_model : public ::testing::Test {
 protected:
  coming_model() {
    fs::create_directories(models_);
    fs::copy(shapes, models_ / "first", fs::copy_options::recursive);
  }
  ~coming_model() override { fs::remove_all(models_); }

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
  static answer draw(const gateway_client& client, const std::string& model) {
    return client.post("/text-to-image",
                       fmt::format(R"({{"prompt":"a red circle","model_id":"{}","width":64,)"
                                   R"("height":64,"num_inference_steps":2}})",
                                   model));
  }

  const fs::path models_ = fs::temp_directory_path() / ("lp_coming_" + random_hex(8));
};

TEST_F(coming_model, is_told_of_while_it_is_copied_and_then_drawn_with) {
  test_cluster cluster(config());
  const gateway_client client = cluster.client();
  const answer unknown = draw(client, "owner/second");
  EXPECT_EQ(unknown.status, 404U);
  EXPECT_THAT(unknown.text, HasSubstr("offered: first"));

  // All but the last bytes of one file.
  const fs::path second = models_ / "owner" / "second";
  fs::create_directories(models_ / "owner");
  fs::copy(shapes, second, fs::copy_options::recursive);
  const fs::path last = second / "unet" / "diffusion_pytorch_model.safetensors";
  fs::resize_file(last, fs::file_size(last) - 100);
  answer waiting;
  ASSERT_TRUE(eventually([&] {
    waiting = draw(client, "owner/second");
    return waiting.text.find("cut short") != std::string::npos;
  })) << waiting.text;
  EXPECT_EQ(waiting.status, 404U);
  EXPECT_THAT(waiting.text, Not(HasSubstr(models_.string())));

  fs::copy_file(shapes / "unet" / "diffusion_pytorch_model.safetensors", last,
                fs::copy_options::overwrite_existing);
  answer drawn;
  ASSERT_TRUE(eventually([&] {
    drawn = draw(client, "owner/second");
    EXPECT_TRUE(drawn.status == 200 || drawn.status == 404) << drawn.text;
    return drawn.status == 200;
  })) << drawn.text;
  EXPECT_EQ(drawn.body.at("job").at("model"), "owner/second");
  EXPECT_EQ(draw(client, "").body.at("job").at("model"), "first") << "the default stays, by name";

  fs::remove_all(models_ / "first");
  EXPECT_TRUE(eventually([&] { return draw(client, "first").status == 404; }));
}

}  // namespace
}  // namespace lp::testing
