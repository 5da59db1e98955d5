// SPDX-License-Identifier: MIT
// Editing models (InstructPix2Pix) and previews, on small random networks.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "pipelines/engine/autoencoder_tiny.hpp"
#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/random_parameters.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "tests/engine/small_model.hpp"

namespace lp::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

using model = std::shared_ptr<const stable_diffusion>;

/// The small model with a network that also sees the picture to edit.
fs::path editing_model() {
  const auto folder = copy_of_small_model("editing");
  replace_in(folder / "unet/config.json", R"("in_channels": 4)", R"("in_channels": 8)");
  replace_in(folder / "model_index.json", "StableDiffusionPipeline",
             "StableDiffusionInstructPix2PixPipeline");
  const auto file = folder / "unet/diffusion_pytorch_model.safetensors";
  at::manual_seed(5);
  std::vector<std::pair<std::string, at::Tensor>> changed;
  const auto all = open_tensors(file).value();
  for (const auto& [name, stored] : all) {
    auto tensor = stored.load().value().clone();
    if (name == "conv_in.weight") tensor = at::cat({tensor, at::randn_like(tensor) * 0.1}, 1);
    changed.emplace_back(name, tensor);
  }
  EXPECT_TRUE(save_safetensors(file, changed));
  return folder;
}

model loaded(const fs::path& folder) {
  stable_diffusion_options options;
  options.precision = weight_precision::fp32;
  const auto out = stable_diffusion::load(folder, options);
  EXPECT_TRUE(out) << out.error().message;
  return out.value_or(nullptr);
}

drawing_request request() {
  drawing_request r;
  r.prompts = {"a red circle"};
  r.seeds = {7};
  r.width = r.height = 64;
  r.steps = 2;
  r.scheduler = "euler";
  r.image = at::linspace(0, 1, 3 * 64 * 64).reshape({1, 3, 64, 64});
  return r;
}

/// The latents after one step, in which they are linear in what the network said.
at::Tensor after_a_step(const model& m, const drawing_request& r) {
  auto started = stable_diffusion::start(m, r);
  EXPECT_TRUE(started) << started.error().message;
  EXPECT_TRUE((*started)->step());
  return (*started)->latents().clone();
}

class editing : public ::testing::Test {
 protected:
  at::Tensor with(double text, double image, const std::string& negative = {}) {
    auto r = request();
    r.guidance_scale = text;
    r.image_guidance_scale = image;
    if (!negative.empty()) r.negative_prompts = {negative};
    return after_a_step(made, r);
  }
  static bool alike(const at::Tensor& a, const at::Tensor& b) {
    return at::allclose(a, b, 1e-3, 1e-3);
  }

  model made = loaded(editing_model());
};

// uncond + t (text - image) + i (image - uncond): equation 3 of arXiv 2211.09800.
TEST_F(editing, adds_what_prompt_and_picture_say_by_their_scales) {
  const auto base = with(2, 1);
  const auto by_text = with(3, 1) - base;
  const auto by_image = with(2, 2) - base;
  EXPECT_GT(by_text.abs().max().item<double>(), 0.01);
  EXPECT_GT(by_image.abs().max().item<double>(), 0.01);
  EXPECT_TRUE(alike(with(5, 1), base + 3 * by_text));
  EXPECT_TRUE(alike(with(2, 4), base + 3 * by_image));
  EXPECT_TRUE(alike(with(4, 3), base + 2 * by_text + 2 * by_image));
  // At 1 and 1 what the prompt and the picture say together is all there is.
  EXPECT_TRUE(alike(with(1.0001, 1), with(1, 1)));
}

TEST_F(editing, is_guided_away_from_the_negative_prompt) {
  EXPECT_TRUE(alike(with(3, 1, "a red circle"), with(6, 1, "a red circle")));
  EXPECT_FALSE(alike(with(3, 1, "a green star"), with(6, 1, "a green star")));
}

TEST_F(editing, keeps_to_its_picture_and_needs_one) {
  auto r = request();
  const auto first = after_a_step(made, r);
  r.image = 1 - r.image;
  EXPECT_FALSE(alike(after_a_step(made, r), first));
  r.image = at::Tensor();
  const auto none = stable_diffusion::start(made, r);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("image"));
}

TEST(preview, shows_what_is_foreseen_and_changes_nothing) {
  const auto folder = copy_of_small_model("preview");
  auto r = request();
  r.image = at::Tensor();
  {
    auto plain = stable_diffusion::start(loaded(folder), r);
    ASSERT_TRUE(plain) << plain.error().message;
    EXPECT_EQ((*plain)->preview(0).error().code, ec::bad_request);
  }
  fs::create_directories(folder / "vae_tiny");
  std::ofstream(folder / "vae_tiny/config.json")
      << R"({"_class_name": "AutoencoderTiny", "encoder_block_out_channels": [8, 8, 8, 8],
             "decoder_block_out_channels": [8, 8, 8, 8]})";
  autoencoder_tiny_config config;
  config.encoder_channels = config.decoder_channels = {8, 8, 8, 8};
  random_parameters weights({3, at::kFloat, false, at::Device(at::kCPU)});
  const autoencoder_tiny tiny(config, scope(weights));
  ASSERT_TRUE(
      save_safetensors(folder / "vae_tiny/diffusion_pytorch_model.safetensors", weights.tensors()));
  const auto started = stable_diffusion::start(loaded(folder), r).value();
  ASSERT_TRUE(started->step());
  const auto before = started->latents().clone();
  const auto seen = started->preview(0);
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_EQ(seen->sizes(), at::IntArrayRef({1, 3, 64, 64}));
  EXPECT_GE(seen->min().item<double>(), 0);
  EXPECT_LE(seen->max().item<double>(), 1);
  EXPECT_TRUE(at::equal(started->latents(), before));
  ASSERT_TRUE(started->step());
  EXPECT_FALSE(at::equal(started->preview(0).value(), *seen));
  EXPECT_FALSE(started->preview(1));
}

}  // namespace
}  // namespace lp::engine
