// SPDX-License-Identifier: MIT
#include "pipelines/weights/part_weights.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipelines/weights/weights_summary.hpp"
#include "runtime/base/bytes.hpp"
#include "tests/support/torch_archive.hpp"

namespace lp::pipelines {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class part_weights_test : public ::testing::Test {
 protected:
  part_weights_test() { fs::create_directories(folder_); }
  ~part_weights_test() override { fs::remove_all(folder_); }

  void file(const std::string& name, const std::string& text = "x") const {
    std::ofstream(folder_ / name) << text;
  }
  std::vector<std::string> chosen() const {
    std::vector<std::string> out;
    for (const fs::path& f : weight_files(folder_)) out.push_back(f.filename().string());
    return out;
  }

  const fs::path folder_ = fs::temp_directory_path() / ("lp_part_" + random_hex(8));
};

TEST_F(part_weights_test, the_best_form_is_chosen) {
  EXPECT_THAT(chosen(), IsEmpty());
  file("config.json");
  EXPECT_THAT(chosen(), IsEmpty());
  // Each goes before those above it.
  for (const char* better :
       {"diffusion_pytorch_model.non_ema.bin", "diffusion_pytorch_model.fp16.bin",
        "diffusion_pytorch_model.bin", "diffusion_pytorch_model.non_ema.safetensors",
        "diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.safetensors"}) {
    file(better);
    EXPECT_THAT(chosen(), ElementsAre(better));
  }
}

TEST_F(part_weights_test, an_index_stands_for_its_shards) {
  file("model.fp16.safetensors");
  file("model.safetensors.index.json",
       R"({"weight_map": {"a": "1.st", "b": "2.st", "c": "1.st"}})");
  EXPECT_THAT(chosen(), ElementsAre("model.safetensors.index.json", "1.st", "2.st"));
  const auto shards = read_shards(folder_ / "model.safetensors.index.json");
  ASSERT_TRUE(shards) << render(shards.error());
  EXPECT_THAT(shards->at("1.st"), ElementsAre("a", "c"));
  for (const char* wrong : {"", "[]", R"({"weight_map": 1})", R"({"weight_map": {"a": 1}})",
                            R"({"weight_map": {"a": "../1.st"}})"}) {
    file("model.safetensors.index.json", wrong);
    const auto refused = read_shards(folder_ / "model.safetensors.index.json");
    ASSERT_FALSE(refused) << wrong;
    EXPECT_THAT(refused.error().message, HasSubstr("model.safetensors.index.json"));
  }
}

TEST_F(part_weights_test, indexes_of_variants_have_two_forms) {
  const std::string map = R"({"weight_map": {"a": "1.st"}})";
  file("diffusion_pytorch_model.safetensors.index.fp16.json", map);
  EXPECT_THAT(chosen(), ElementsAre("diffusion_pytorch_model.safetensors.index.fp16.json", "1.st"));
  fs::remove(folder_ / "diffusion_pytorch_model.safetensors.index.fp16.json");
  file("diffusion_pytorch_model.bf16.safetensors.index.json", map);
  EXPECT_THAT(chosen(), ElementsAre("diffusion_pytorch_model.bf16.safetensors.index.json", "1.st"));
}

TEST_F(part_weights_test, a_single_file_may_have_any_name) {
  file("epoch-7.pth");
  EXPECT_THAT(chosen(), ElementsAre("epoch-7.pth"));
  file("epoch-8.pth");
  EXPECT_THAT(chosen(), IsEmpty());  // which one is meant?
  file("epoch-8.safetensors");
  EXPECT_THAT(chosen(), ElementsAre("epoch-8.safetensors"));
}

TEST_F(part_weights_test, pickles_are_counted) {
  test::write_torch_archive(folder_ / "pytorch_model.bin",
                            {{"a", "HalfStorage", {2, 3}, std::string(12, '\0')},
                             {"b", "FloatStorage", {5}, std::string(20, '\0')}});
  const auto s = summarise_folder(folder_);
  ASSERT_TRUE(s) << render(s.error());
  EXPECT_EQ(s->tensors, 2U);
  EXPECT_EQ(s->bytes, 32U);
  EXPECT_EQ(s->by_dtype.at("F16"), 6U);
  EXPECT_EQ(s->by_dtype.at("F32"), 5U);
  fs::resize_file(folder_ / "pytorch_model.bin", 40);
  const auto cut = summarise_folder(folder_);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, ec::bad_file);
}

}  // namespace
}  // namespace lp::pipelines
