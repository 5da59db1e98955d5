// SPDX-License-Identifier: MIT
// Models that are copied into the folder, that go away, and what an empty model_id means meanwhile.
#include "pipelines/model_watch.hpp"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipelines/model_health.hpp"
#include "runtime/base/bytes.hpp"

namespace lp::pipelines {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class model_watch_test : public testing::Test {
 protected:
  model_watch_test() { fs::create_directories(root_); }
  ~model_watch_test() override { fs::remove_all(root_); }

  void put(const std::string& id, const std::string& class_name = "StableDiffusionPipeline") const {
    const fs::path folder = root_ / id;
    fs::create_directories(folder / "unet");
    std::ofstream(folder / "model_index.json")
        << R"({"_class_name": ")" << class_name
        << R"(", "unet": ["diffusers", "UNet2DConditionModel"]})";
    std::ofstream(folder / "unet" / "config.json") << "{}";
    const std::string header = R"({"w": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}})";
    std::ofstream(weights(id), std::ios::binary)
        << static_cast<char>(header.size()) << std::string(7, '\0') << header << "four";
  }
  fs::path weights(const std::string& id) const {
    return root_ / id / "unet" / "diffusion_pytorch_model.safetensors";
  }

  model_watch watch(const std::map<std::string, std::string>& defaults = {}) const {
    return {{root_, defaults, {}}, scan_models(root_, defaults).value()};
  }
  // The text-to-image models, the default one with a star.
  static std::vector<std::string> offered(const model_watch& w) {
    std::vector<std::string> out;
    for (const auto& e : w.view().entries) {
      if (e.pipeline == "text-to-image") out.push_back(e.model + (e.is_default ? "*" : ""));
    }
    return out;
  }
  static std::string why(const model_watch& w, const std::string& id) {
    for (const auto& c : w.view().coming) {
      if (c.model == id) return c.why;
    }
    return {};
  }

  const fs::path root_ = fs::temp_directory_path() / ("lp_watch_" + random_hex(8));
};

TEST_F(model_watch_test, offers_a_new_model_at_the_second_look) {
  put("first");
  auto w = watch();
  EXPECT_FALSE(w.look()) << "nothing is new";
  put("owner/second");
  ASSERT_TRUE(w.look());
  EXPECT_THAT(offered(w), ElementsAre("first*"));
  EXPECT_THAT(why(w, "owner/second"), HasSubstr("still changing"));
  const auto view = w.look();
  ASSERT_TRUE(view);
  EXPECT_THAT(offered(w), ElementsAre("first*", "owner/second"));
  EXPECT_THAT(view->coming, IsEmpty());
  EXPECT_FALSE(w.look());
}

TEST_F(model_watch_test, does_not_offer_what_is_being_copied) {
  auto w = watch();
  put("big");
  for (int i = 0; i < 3; ++i) {
    std::ofstream(weights("big"), std::ios::binary | std::ios::app) << "more";
    w.look();
    EXPECT_THAT(offered(w), IsEmpty()) << "it grows between looks";
  }
  // The copy stalls, and is cut short.
  put("big");
  fs::resize_file(weights("big"), fs::file_size(weights("big")) - 1);
  w.look();
  w.look();
  w.look();
  EXPECT_THAT(offered(w), IsEmpty());
  EXPECT_THAT(why(w, "big"), HasSubstr("big/unet/diffusion_pytorch_model.safetensors"));
  EXPECT_THAT(why(w, "big"), HasSubstr("cut short"));
  EXPECT_THAT(why(w, "big"), testing::Not(HasSubstr(root_.string())));
  fs::remove(weights("big"));
  w.look();
  w.look();
  EXPECT_EQ(why(w, "big"), "unet: no weights");
  put("big");
  w.look();
  w.look();
  EXPECT_THAT(offered(w), ElementsAre("big*"));
}

TEST_F(model_watch_test, a_model_that_is_gone_is_no_longer_offered) {
  put("first");
  put("second");
  auto w = watch();
  fs::remove_all(root_ / "first");
  EXPECT_FALSE(w.look()) << "it may be about to be replaced";
  ASSERT_TRUE(w.look());
  EXPECT_THAT(offered(w), ElementsAre("second*"));
  // Damage to a known model is for its load to tell.
  fs::resize_file(weights("second"), 10);
  EXPECT_FALSE(w.look());
  EXPECT_FALSE(w.look());
  // A folder that cannot be looked at says nothing of its models.
  const fs::path away = root_.string() + "_away";
  fs::rename(root_, away);
  EXPECT_FALSE(w.look());
  EXPECT_FALSE(w.look());
  EXPECT_THAT(offered(w), ElementsAre("second*"));
  fs::rename(away, root_);
}

TEST_F(model_watch_test, defaults_stay_what_they_are) {
  put("xl", "StableDiffusionXLPipeline");
  auto w = watch();
  EXPECT_THAT(offered(w), ElementsAre("xl*"));
  put("a_plain_one");
  w.look();
  w.look();
  EXPECT_THAT(offered(w), ElementsAre("a_plain_one", "xl*")) << "though it is plainer";
  fs::remove_all(root_ / "xl");
  w.look();
  w.look();
  EXPECT_THAT(offered(w), ElementsAre("a_plain_one*"));
  put("chosen");
  auto configured = watch({{"text-to-image", "chosen"}});
  fs::remove_all(root_ / "chosen");
  configured.look();
  configured.look();
  EXPECT_THAT(offered(configured), ElementsAre("a_plain_one")) << "nothing takes its place unasked";
}

TEST_F(model_watch_test, a_checkpoint_in_one_file_waits_for_its_words) {
  auto w = watch();
  const std::string header =
      R"({"model.diffusion_model.input_blocks.0.0.weight": {"dtype": "F16", )"
      R"("shape": [0, 4, 3, 3], "data_offsets": [0, 0]}})";
  std::ofstream(root_ / "one.safetensors", std::ios::binary)
      << static_cast<char>(header.size()) << std::string(7, '\0') << header;
  w.look();
  w.look();
  EXPECT_THAT(why(w, "one.safetensors"), HasSubstr("tokenizer"));
  fs::create_directories(root_ / "tokenizer");
  std::ofstream(root_ / "tokenizer" / "vocab.json") << "{}";
  w.look();
  w.look();
  EXPECT_THAT(offered(w), ElementsAre("one.safetensors*"));
}

TEST_F(model_watch_test, what_a_model_lacks_is_told_part_by_part) {
  put("whole");
  EXPECT_THAT(lacks_of(root_ / "whole"), IsEmpty());
  std::ofstream(weights("whole")) << "version https://git-lfs.github.com/spec/v1\n";
  EXPECT_EQ(lacks_of(root_ / "whole").size(), 1U);
  std::ofstream(root_ / "whole" / "model_index.json") << "{";
  EXPECT_THAT(lacks_of(root_ / "whole").at(0), HasSubstr("whole/model_index.json"));
}

}  // namespace
}  // namespace lp::pipelines
