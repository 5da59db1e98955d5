// SPDX-License-Identifier: MIT
#include "tools/lp-model/conversion.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipelines/weights/weights_summary.hpp"
#include "runtime/base/bytes.hpp"
#include "tests/support/torch_archive.hpp"

namespace lp::model_tool {
namespace {

namespace fs = std::filesystem;
using ::testing::UnorderedElementsAre;

class conversion_test : public ::testing::Test {
 protected:
  conversion_test() {
    fs::create_directories(from_ / "unet");
    fs::create_directories(from_ / "text_encoder");
    std::ofstream(from_ / "model_index.json")
        << R"({"_class_name": "StableDiffusionPipeline",)"
           R"( "unet": ["diffusers", "UNet2DConditionModel"],)"
           R"( "text_encoder": ["transformers", "CLIPTextModel"]})";
    std::ofstream(from_ / "unet/config.json") << "{}";
    std::ofstream(from_ / "text_encoder/config.json") << "{}";
    std::ofstream(from_ / ".hub.json") << "{}";
  }
  ~conversion_test() override { fs::remove_all(root_); }

  static std::vector<test::saved_tensor> weights(std::int64_t count) {
    return {{"w", "FloatStorage", {count}, std::string(static_cast<std::size_t>(count) * 4, '\0')},
            {"ids", "LongStorage", {2}, std::string(16, '\0')}};
  }
  std::vector<std::string> converted() const {
    std::vector<std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(to_)) {
      if (entry.is_regular_file()) {
        out.push_back(entry.path().lexically_relative(to_).generic_string());
      }
    }
    return out;
  }

  const fs::path root_ = fs::temp_directory_path() / ("lp_convert_" + random_hex(8));
  const fs::path from_ = root_ / "from";
  const fs::path to_ = root_ / "to";
};

TEST_F(conversion_test, pickled_parts_become_safetensors) {
  test::write_torch_archive(from_ / "unet/diffusion_pytorch_model.bin", weights(10));
  test::write_torch_archive(from_ / "text_encoder/pytorch_model.bin", weights(3));
  const auto sums = convert_model(from_, to_, "fp16");
  ASSERT_TRUE(sums) << render(sums.error());
  EXPECT_THAT(converted(),
              UnorderedElementsAre("model_index.json", "unet/config.json",
                                   "unet/diffusion_pytorch_model.safetensors",
                                   "text_encoder/config.json", "text_encoder/model.safetensors"));
  const auto unet = pipelines::summarise_folder(to_ / "unet");
  ASSERT_TRUE(unet) << render(unet.error());
  EXPECT_EQ(unet->by_dtype.at("F16"), 10U);
  EXPECT_EQ(unet->by_dtype.at("I64"), 2U);

  // Safetensors again, and no copy of the same weights beside them.
  test::write_torch_archive(to_ / "unet/diffusion_pytorch_model.bin", weights(10));
  const auto again = convert_model(to_, root_ / "again", "fp32");
  ASSERT_TRUE(again) << render(again.error());
  EXPECT_FALSE(fs::exists(root_ / "again/unet/diffusion_pytorch_model.bin"));
  EXPECT_EQ(pipelines::summarise_folder(root_ / "again/unet")->by_dtype.at("F32"), 10U);
}

TEST_F(conversion_test, refuses_what_is_broken) {
  test::write_torch_archive(from_ / "unet/diffusion_pytorch_model.bin", weights(10));
  const auto lacking = convert_model(from_, to_, "fp16");
  ASSERT_FALSE(lacking);
  EXPECT_EQ(lacking.error().code, ec::bad_file);
  EXPECT_THAT(lacking.error().message, ::testing::HasSubstr("text_encoder: no weights"));
  EXPECT_FALSE(fs::exists(to_));

  fs::create_directories(root_ / "bare");
  std::ofstream(root_ / "bare/readme.txt") << "no model";
  EXPECT_FALSE(convert_model(root_ / "bare", to_, "fp16"));
  EXPECT_FALSE(fs::exists(to_));
}

TEST_F(conversion_test, leaves_nothing_behind_when_it_fails) {
  std::ofstream(from_ / "unet/diffusion_pytorch_model.bin") << "damaged";
  const auto sums = convert_model(from_, to_, "fp16");
  ASSERT_FALSE(sums);
  EXPECT_EQ(sums.error().code, ec::bad_file);
  EXPECT_FALSE(fs::exists(to_));
}

}  // namespace
}  // namespace lp::model_tool
