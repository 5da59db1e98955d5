// SPDX-License-Identifier: MIT
// Files that are replaced, damaged or something else than their names say.
#include <fstream>
#include <limits>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <boost/json/object.hpp>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/clip_tokenizer.hpp"
#include "pipelines/engine/image_model.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "runtime/base/redact.hpp"
#include "tests/engine/small_model.hpp"

namespace lp::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";

void save_lora(const fs::path& file, double value) {
  ASSERT_TRUE(
      save_safetensors(file, {{std::string(layer) + ".lora_A.weight", at::ones({2, 16})},
                              {std::string(layer) + ".lora_B.weight", at::full({16, 2}, value)}}));
}

result<std::string> drawn(pipelines::model& model, const std::string& loras) {
  pipelines::job_input job;
  job.params = {{"prompt", "a"}, {"width", 64},   {"height", 64}, {"num_inference_steps", 2},
                {"seed", 1},     {"loras", loras}};
  if (const auto need = model.memory_for(job); !need) return fail(need.error());
  auto run = model.start(job);
  if (!run) return fail(run.error());
  for (bool more = true; more;) {
    const auto at = (*run)->step();
    if (!at) return fail(at.error());
    more = at->done < at->total;
  }
  return *(*run)->finish()->files.at(0).data;
}

TEST(replaced_files, the_new_lora_is_used) {
  const auto folder = copy_of_small_model("replaced_lora");
  fs::create_directories(folder / "loras");
  const auto file = folder / "loras" / "style.safetensors";
  const std::string loras = R"({"style": 1})";
  const auto model = load_image_model(folder, {});
  ASSERT_TRUE(model) << model.error().message;
  save_lora(file, 0.5);
  const auto first = drawn(**model, loras);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(drawn(**model, loras).value(), *first);
  const auto time = fs::last_write_time(file);
  save_lora(file, -0.5);  // under another name that is renamed
  fs::last_write_time(file, time);
  const auto second = drawn(**model, loras);
  ASSERT_TRUE(second);
  EXPECT_NE(*second, *first);
  save_lora(file, 0.5);
  EXPECT_EQ(drawn(**model, loras).value(), *first);
}

TEST(replaced_files, the_new_model_is_loaded_beside_the_old_one) {
  const auto folder = copy_of_small_model("replaced_model");
  const auto old = load_image_model(folder, {});
  ASSERT_TRUE(old);
  const auto before = drawn(**old, "");
  const auto weights = folder / "vae" / "diffusion_pytorch_model.safetensors";
  const auto opened = safetensors_file::open(weights);
  ASSERT_TRUE(opened) << opened.error().message;
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const auto& [name, info] : (*opened)->tensors())
    tensors.emplace_back(name, (*opened)->load(name)->clone().mul_(0.5));
  ASSERT_TRUE(save_safetensors(weights, tensors));
  const auto fresh = load_image_model(folder, {});
  ASSERT_TRUE(fresh);
  EXPECT_NE(drawn(**fresh, "").value(), *before);
  EXPECT_EQ(drawn(**old, "").value(), *before);
}

TEST(replaced_files, a_lora_that_does_not_load_is_told_by_its_name_alone) {
  const auto folder = copy_of_small_model("refused_lora");
  fs::create_directories(folder / "loras" / "owner");
  const auto model = load_image_model(folder, {});
  ASSERT_TRUE(model);
  const auto file = folder / "loras" / "owner" / "style.safetensors";
  const auto refused = [&](const char* why) {
    const auto picture = drawn(**model, R"({"owner/style": 1})");
    ASSERT_FALSE(picture) << why;
    const auto told = without_paths(picture.error());
    EXPECT_EQ(told.code, ec::invalid_parameters);
    EXPECT_THAT(told.message, AllOf(HasSubstr("\"owner/style\""), HasSubstr(why),
                                    Not(HasSubstr(folder.string()))));
    ASSERT_EQ(told.fields.size(), 1U);
    EXPECT_EQ(told.fields[0].loc.back(), "loras");
    EXPECT_THAT(told.fields[0].msg, AllOf(HasSubstr(why), Not(HasSubstr(folder.string()))));
  };
  refused("there is no file");
  std::ofstream(file) << "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n";
  refused("a Git LFS pointer, not the file itself");
  std::ofstream(file) << "<html></html>";
  refused("a web page");
  std::ofstream(file) << "";
  refused("an empty file");
  save_lora(file, std::numeric_limits<double>::quiet_NaN());
  refused("not finite");
  save_lora(file, 1);
  fs::resize_file(file, fs::file_size(file) - 8);
  refused("not finished");
  ASSERT_TRUE(save_safetensors(file, {{std::string(layer) + ".lora_A.weight", at::ones({2, 3})},
                                      {std::string(layer) + ".lora_B.weight", at::ones({16, 2})}}));
  refused("do not fit");
}

TEST(replaced_files, settings_and_vocabularies_say_what_they_are) {
  const auto folder = copy_of_small_model("pointers");
  for (const auto* name : {"unet/config.json", "tokenizer/vocab.json", "tokenizer/merges.txt",
                           "scheduler/scheduler_config.json"}) {
    std::stringstream kept;
    kept << std::ifstream(folder / name).rdbuf();
    std::ofstream(folder / name) << "version https://git-lfs.github.com/spec/v1\noid sha256:ab\n";
    const auto model = load_image_model(folder, {});
    ASSERT_FALSE(model) << name;
    EXPECT_THAT(model.error().message, AllOf(HasSubstr(name), HasSubstr("a Git LFS pointer")));
    std::ofstream(folder / name) << kept.str();
  }
  const auto weights = folder / "unet" / "diffusion_pytorch_model.safetensors";
  fs::rename(weights, weights.string() + ".incomplete");
  const auto model = load_image_model(folder, {});
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().message, HasSubstr("safetensors.incomplete is a download"));
}

}  // namespace
}  // namespace lp::engine
