// SPDX-License-Identifier: MIT
#include "pipelines/catalogue.hpp"

#include <unistd.h>

#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipelines/model_index.hpp"
#include "runtime/base/bytes.hpp"
#include "tests/support/torch_archive.hpp"

namespace lp::pipelines {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class catalogue : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(root_); }
  void TearDown() override { fs::remove_all(root_); }

  void model(const fs::path& folder, const std::string& class_name = "StableDiffusionPipeline") {
    write(folder, "{\"_class_name\": \"" + class_name + "\"}");
  }
  void write(const fs::path& folder, const std::string& index) {
    fs::create_directories(root_ / folder);
    std::ofstream(root_ / folder / "model_index.json") << index;
  }
  // The text-to-image models found, the default one with a star.
  std::vector<std::string> found(const std::map<std::string, std::string>& defaults = {}) {
    const auto entries = scan_models(root_, defaults);
    if (!entries) return {entries.error().message};
    std::vector<std::string> out;
    for (const auto& e : *entries) {
      if (e.pipeline == "text-to-image") out.push_back(e.model + (e.is_default ? "*" : ""));
    }
    return out;
  }

  void file(const fs::path& name, const std::string& header) const {
    fs::create_directories((root_ / name).parent_path());
    std::string length(8, '\0');
    length[0] = static_cast<char>(header.size() & 0xffU);
    length[1] = static_cast<char>(header.size() >> 8U);
    std::ofstream(root_ / name, std::ios::binary) << length << header;
  }

  /// A checkpoint's header; its UNet takes so many channels and has no output.
  static std::string unet_of(int channels, const std::string& more = {}) {
    return fmt::format(R"({{"model.diffusion_model.input_blocks.0.0.weight": {{"dtype": "F16", )"
                       R"("shape": [0, {}, 3, 3], "data_offsets": [0, 0]}}{}{}}})",
                       channels, more.empty() ? "" : ", ", more);
  }

  /// The same, pickled.
  void checkpoint(const fs::path& name, std::int64_t channels, const std::string& before = {}) {
    fs::create_directories((root_ / name).parent_path());
    test::write_torch_archive(root_ / name,
                              {{before + "model.diffusion_model.input_blocks.0.0.weight",
                                "HalfStorage",
                                {0, channels, 3, 3},
                                ""}});
  }

  const fs::path root_ = fs::temp_directory_path() / ("lp_catalogue_" + random_hex(8));
};

TEST_F(catalogue, finds_models_up_to_three_levels_down) {
  model("zeta");
  model("owner/name");
  model("a/b/c");
  model("a/b/d/too_deep");
  EXPECT_THAT(found(), ElementsAre("a/b/c*", "owner/name", "zeta"));
}

TEST_F(catalogue, leaves_a_models_parts_alone) {
  model("outer");
  model("outer/inner");
  EXPECT_THAT(found(), ElementsAre("outer*"));
}

TEST_F(catalogue, finds_checkpoints_in_one_file) {
  file("fine.safetensors", unet_of(4));
  file("refined.safetensors", unet_of(5));
  checkpoint("sub/old.ckpt", 4);
  checkpoint("sub/newer.pth", 4);
  checkpoint("sub/adapter.pt", 4, "lora.");
  file("sub/damaged.ckpt", "");
  file("loras/adapter.safetensors", R"({"lora_unet_mid_block.alpha": {}})");
  file("short.safetensors", "");
  checkpoint("a/b/wordless.ckpt", 4);
  EXPECT_THAT(found(), testing::IsEmpty());  // nothing to read prompts with
  fs::create_directories(root_ / "tokenizer");
  std::ofstream(root_ / "tokenizer" / "vocab.json") << "{}";
  EXPECT_THAT(found(), ElementsAre("fine.safetensors*", "sub/newer.pth", "sub/old.ckpt"));
  EXPECT_EQ(weight_bytes(root_ / "fine.safetensors"), fs::file_size(root_ / "fine.safetensors"));
}

TEST_F(catalogue, offers_a_checkpoint_for_what_its_unet_takes) {
  fs::create_directories(root_ / "tokenizer");
  std::ofstream(root_ / "tokenizer" / "vocab.json") << "{}";
  file("any.safetensors", unet_of(4));
  file("masks.safetensors", unet_of(9));
  checkpoint("masks.ckpt", 9);
  const auto offered = [](const fs::path& f) {
    const image_tasks t = tasks_of(f);
    return std::pair(t.from_text, t.from_image);
  };
  EXPECT_EQ(offered(root_ / "any.safetensors"), std::pair(true, true));
  EXPECT_EQ(offered(root_ / "masks.safetensors"), std::pair(false, true));
  EXPECT_EQ(offered(root_ / "masks.ckpt"), std::pair(false, true));
  EXPECT_THAT(found(), ElementsAre("any.safetensors*"));
  EXPECT_EQ(*model_class(root_ / "masks.safetensors"), "StableDiffusionInpaintPipeline");
  file("xl.safetensors", unet_of(4, R"("conditioner.embedders.1.model.ln_final.bias":)"
                                    R"({"dtype": "F16", "shape": [0], "data_offsets": [0, 0]})"));
  EXPECT_EQ(*model_class(root_ / "xl.safetensors"), "StableDiffusionXLPipeline");
  file("refined.safetensors", unet_of(5));
  const auto unknown = model_class(root_ / "refined.safetensors");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("5 input channels"), std::string::npos);
}

TEST_F(catalogue, takes_the_configured_default) {
  model("one");
  model("two");
  EXPECT_THAT(found({{"text-to-image", "two"}}), ElementsAre("one", "two*"));
  const auto missing = scan_models(root_, {{"text-to-image", "three"}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ec::bad_config);
  EXPECT_THAT(missing.error().message, HasSubstr("\"three\""));
  const auto unknown = scan_models(root_, {{"text-to-smell", "one"}});
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("text-to-smell"));
}

TEST_F(catalogue, without_a_configured_default_it_is_the_plainest) {
  model("a_lcm", "LatentConsistencyModelPipeline");
  model("b_classes", "DiTPipeline");
  model("c_xl", "StableDiffusionXLPipeline");
  EXPECT_THAT(found(), ElementsAre("a_lcm", "b_classes", "c_xl*"));
  model("z_plain");
  EXPECT_THAT(found(), ElementsAre("a_lcm", "b_classes", "c_xl", "z_plain*"));
}

TEST_F(catalogue, a_model_that_needs_a_mask_is_never_a_default) {
  const auto redrawn = [&] {
    std::vector<std::string> out;
    const auto entries = scan_models(root_, {}).value();
    for (const auto& e : entries) {
      if (e.pipeline == "image-to-image") out.push_back(e.model + (e.is_default ? "*" : ""));
    }
    return out;
  };
  model("a_masks", "StableDiffusionInpaintPipeline");
  model("b_masks", "StableDiffusionXLInpaintPipeline");
  EXPECT_THAT(redrawn(), ElementsAre("a_masks", "b_masks")) << "and so there is none";
  model("c_edits", "StableDiffusionInstructPix2PixPipeline");
  EXPECT_THAT(redrawn(), ElementsAre("a_masks", "b_masks", "c_edits*"));
  model("d_plain");
  EXPECT_THAT(redrawn(), ElementsAre("a_masks", "b_masks", "c_edits", "d_plain*"));
}

TEST_F(catalogue, finds_revisions_with_steps) {
  model("owner/name@refs/pr/11");
  model("owner/deep/a/b");
  EXPECT_THAT(found(), ElementsAre("owner/name@refs/pr/11*"));
}

TEST_F(catalogue, passes_over_what_no_pipeline_runs) {
  model("fine");
  model("audio", "AudioLDMPipeline");
  write("broken", "{\"_class_name\": ");
  write("empty", "");
  write("list", "[]");
  write("number", "{\"_class_name\": 7}");
  write("huge", std::string(2 << 20, ' '));
  fs::create_directories(root_ / "folder" / "model_index.json");
  fs::create_symlink(root_ / "nowhere", root_ / "dangling");
  fs::create_symlink(root_, root_ / "circle");
  EXPECT_THAT(found(), ElementsAre("fine*"));
}

TEST_F(catalogue, offers_built_in_pipelines_without_a_folder) {
  const auto entries = scan_models({}, {});
  ASSERT_TRUE(entries);
  const auto noop = std::find_if(entries->begin(), entries->end(),
                                 [](const auto& e) { return e.pipeline == "noop"; });
  ASSERT_NE(noop, entries->end());
  EXPECT_EQ(noop->model, "noop");
  EXPECT_TRUE(noop->is_default);
  EXPECT_TRUE(noop->folder.empty());
}

TEST_F(catalogue, a_missing_models_folder_is_named) {
  const auto entries = scan_models(root_ / "nowhere", {});
  ASSERT_FALSE(entries);
  EXPECT_EQ(entries.error().code, ec::bad_config);
  EXPECT_THAT(entries.error().message, HasSubstr((root_ / "nowhere").string()));
}

}  // namespace
}  // namespace lp::pipelines
