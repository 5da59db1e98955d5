// SPDX-License-Identifier: MIT
#include "pipelines/model_files.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipelines/weights/weights_summary.hpp"

namespace lp::pipelines {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* index =
    R"({"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0",
  "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
  "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
  "scheduler": ["diffusers", "PNDMScheduler"], "image_encoder": [null, null],
  "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
  "requires_safety_checker": true})";

// What a repository of Stable Diffusion holds, in small.
const std::vector<std::string> repository = {
    "README.md",
    "model_index.json",
    "v1-5-pruned.ckpt",
    "v1-5-pruned.safetensors",
    "sample.png",
    "scheduler/scheduler_config.json",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "text_encoder/model.fp16.safetensors",
    "text_encoder/pytorch_model.bin",
    "text_encoder/flax_model.msgpack",
    "unet/config.json",
    "unet/diffusion_pytorch_model.bin",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
    "unet/diffusion_pytorch_model-00002-of-00002.safetensors",
    "unet/diffusion_pytorch_model.safetensors.index.json",
    "vae/config.json",
    "vae/diffusion_pytorch_model.bin",
    "vae/diffusion_pytorch_model.fp16.bin",
    "safety_checker/config.json",
    "safety_checker/model.safetensors"};

TEST(needed_files, one_set_of_weights_a_part_and_the_index_last) {
  EXPECT_THAT(
      *needed_files(repository, index),
      ElementsAre("unet/config.json", "unet/diffusion_pytorch_model.safetensors.index.json",
                  "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
                  "unet/diffusion_pytorch_model-00002-of-00002.safetensors", "vae/config.json",
                  "vae/diffusion_pytorch_model.bin", "text_encoder/config.json",
                  "text_encoder/model.safetensors", "tokenizer/vocab.json", "tokenizer/merges.txt",
                  "scheduler/scheduler_config.json", "safety_checker/config.json",
                  "safety_checker/model.safetensors", "model_index.json"));
}

TEST(needed_files, a_safety_checker_may_be_missing) {
  auto without = repository;
  std::erase_if(without, [](const auto& path) { return path.starts_with("safety_checker/"); });
  const auto files = needed_files(without, index);
  ASSERT_TRUE(files) << render(files.error());
  EXPECT_THAT(*files, Not(Contains(HasSubstr("safety"))));
}

TEST(needed_files, a_variant_goes_first_where_it_is_there) {
  const auto files = *needed_files(repository, index, "fp16");
  EXPECT_THAT(files, Contains("unet/diffusion_pytorch_model.fp16.safetensors"));
  EXPECT_THAT(files, Contains("text_encoder/model.fp16.safetensors"));
  EXPECT_THAT(files, Contains("vae/diffusion_pytorch_model.fp16.bin"));
  EXPECT_THAT(files, Not(Contains(HasSubstr("00001"))));
  const std::vector<std::string> half_only = {"model_index.json", "unet/config.json",
                                              "unet/diffusion_pytorch_model.fp16.safetensors"};
  EXPECT_THAT(*needed_files(half_only, R"({"unet": ["diffusers", "UNet2DConditionModel"]})"),
              Contains("unet/diffusion_pytorch_model.fp16.safetensors"));
}

TEST(needed_files, a_part_without_weights_is_an_error) {
  const auto files = needed_files({"model_index.json", "unet/config.json"},
                                  R"({"unet": ["diffusers", "UNet2DConditionModel"]})");
  ASSERT_FALSE(files);
  EXPECT_THAT(files.error().message, HasSubstr("unet"));
  EXPECT_FALSE(needed_files({}, "[]"));
}

TEST(needed_files, without_an_index_the_top_folder_counts) {
  EXPECT_THAT(
      *needed_files({"config.json", "model.safetensors", "pytorch_model.bin", "sub/x.json"}, ""),
      ElementsAre("config.json", "model.safetensors"));
  EXPECT_THAT(*needed_files({"style.safetensors", "README.md"}, ""),
              ElementsAre("style.safetensors"));
}

TEST(missing_parts, are_told_by_name) {
  const std::filesystem::path shapes = LP_SOURCE_DIR "/examples/models/shapes-64";
  EXPECT_THAT(missing_parts(shapes), IsEmpty());
  const auto copy =
      std::filesystem::temp_directory_path() / ("lp_parts_" + std::to_string(::getpid()));
  std::filesystem::copy(shapes, copy, std::filesystem::copy_options::recursive);
  std::filesystem::remove(copy / "unet/diffusion_pytorch_model.safetensors");
  std::filesystem::remove_all(copy / "tokenizer");
  EXPECT_THAT(missing_parts(copy), testing::UnorderedElementsAre(
                                       "unet: no weights", "tokenizer: its folder is not there"));
  std::filesystem::remove_all(copy);
}

TEST(needed_files, an_index_may_begin_with_a_byte_order_mark) {
  const auto plain = parts_of_index(index);
  const auto marked = parts_of_index(std::string("\xEF\xBB\xBF") + index);
  ASSERT_TRUE(plain);
  ASSERT_TRUE(marked) << marked.error().message;
  EXPECT_EQ(marked->size(), plain->size());
}

TEST(weights_summary, counts_parameters_by_dtype) {
  const std::filesystem::path unet = LP_SOURCE_DIR "/examples/models/shapes-64/unet";
  const auto s = summarise_folder(unet);
  ASSERT_TRUE(s) << render(s.error());
  EXPECT_GT(s->tensors, 100U);
  std::uint64_t sum = 0;
  for (const auto& [dtype, count] : s->by_dtype) sum += count;
  EXPECT_EQ(sum, s->parameters);
  const auto size = std::filesystem::file_size(unet / "diffusion_pytorch_model.safetensors");
  EXPECT_LT(s->bytes, size);
  EXPECT_GT(s->bytes, size * 9 / 10);
}

TEST(weights_summary, a_cut_file_is_an_error) {
  const auto cut =
      std::filesystem::temp_directory_path() / ("lp_cut_" + std::to_string(::getpid()));
  std::filesystem::copy(
      LP_SOURCE_DIR "/examples/models/shapes-64/vae/diffusion_pytorch_model.safetensors", cut);
  for (const std::uintmax_t size :
       {std::uintmax_t{100'000}, std::uintmax_t{100}, std::uintmax_t{4}}) {
    std::filesystem::resize_file(cut, size);
    const auto s = summarise_file(cut);
    ASSERT_FALSE(s) << size;
    EXPECT_EQ(s.error().code, ec::bad_file);
  }
  std::filesystem::remove(cut);
}

}  // namespace
}  // namespace lp::pipelines
