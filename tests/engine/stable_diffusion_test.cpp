// SPDX-License-Identifier: MIT
// How a pipeline behaves; that it draws the right pictures is for the goldens.
#include "pipelines/engine/stable_diffusion.hpp"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "tests/engine/small_model.hpp"

namespace lp::engine {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<const stable_diffusion> loaded(
    weight_precision precision = weight_precision::fp32) {
  stable_diffusion_options options;
  options.precision = precision;
  auto pipeline = stable_diffusion::load(small_model(), options);
  EXPECT_TRUE(pipeline) << pipeline.error().message;
  return *pipeline;
}

drawing_request small_request() {
  drawing_request r;
  r.prompts = {"a red circle on a blue background"};
  r.seeds = {7};
  r.width = r.height = 64;
  r.steps = 3;
  return r;
}

std::vector<at::Tensor> draw(const std::shared_ptr<const stable_diffusion>& pipeline,
                             const drawing_request& request) {
  auto started = stable_diffusion::start(pipeline, request);
  EXPECT_TRUE(started) << started.error().message;
  std::vector<at::Tensor> out;
  while ((*started)->done() < (*started)->total()) EXPECT_TRUE((*started)->step());
  for (std::int64_t i = 0; i < (*started)->count(); ++i)
    out.push_back((*started)->picture(i).value());
  return out;
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(stable_diffusion, a_picture_depends_on_its_own_seed_and_prompt_only) {
  const auto pipeline = loaded();
  auto both = small_request();
  both.prompts.emplace_back("a green star");
  both.images_per_prompt = 2;
  both.seeds = {7, 8, 9, 10};
  const auto batch = draw(pipeline, both);
  ASSERT_EQ(batch.size(), 4U);
  auto one = small_request();
  EXPECT_LT(difference(draw(pipeline, one)[0], batch[0]), 1e-4);
  one.prompts = {"a green star"};
  one.seeds = {10};
  EXPECT_LT(difference(draw(pipeline, one)[0], batch[3]), 1e-4);
  EXPECT_GT(difference(batch[0], batch[1]), 1e-2);
}

TEST(stable_diffusion, drawings_of_one_pipeline_may_be_stepped_in_turn) {
  const auto pipeline = loaded();
  const auto alone = draw(pipeline, small_request());
  auto other = small_request();
  other.seeds = {99};
  auto a = stable_diffusion::start(pipeline, small_request()).value();
  auto b = stable_diffusion::start(pipeline, other).value();
  while (a->done() < a->total()) {
    ASSERT_TRUE(a->step());
    ASSERT_TRUE(b->step());
  }
  EXPECT_FALSE(a->step());
  EXPECT_TRUE(at::equal(a->picture(0).value(), alone[0]));
  EXPECT_FALSE(a->picture(1));
}

TEST(stable_diffusion, pictures_lie_between_0_and_1_and_need_not_be_square) {
  auto request = small_request();
  request.width = 96;
  const auto picture = draw(loaded(), request)[0];
  EXPECT_EQ(picture.sizes(), (at::IntArrayRef{1, 3, 64, 96}));
  EXPECT_GE(picture.min().item<double>(), 0);
  EXPECT_LE(picture.max().item<double>(), 1);
}

TEST(stable_diffusion, guidance_of_1_and_below_is_none) {
  const auto pipeline = loaded();
  auto request = small_request();
  request.guidance_scale = 1;
  const auto off = draw(pipeline, request);
  request.guidance_scale = 0;
  request.negative_prompts = {"blurry"};
  const auto started = stable_diffusion::start(pipeline, request).value();
  EXPECT_FALSE(started->negative_prompt_embeds().defined());
  EXPECT_TRUE(at::equal(draw(pipeline, request)[0], off[0]));
  request.guidance_scale = 7.5;
  EXPECT_GT(difference(draw(pipeline, request)[0], off[0]), 1e-3);
}

TEST(stable_diffusion, bf16_draws_nearly_the_same) {
  const auto exact = draw(loaded(), small_request());
  const auto pipeline = loaded(weight_precision::bf16);
  EXPECT_EQ(pipeline->precision(), weight_precision::bf16);
  EXPECT_LT(pipeline->bytes(), loaded()->bytes());
  const auto rough = draw(pipeline, small_request());
  EXPECT_LT((exact[0] - rough[0]).abs().mean().item<double>(), 0.05);
}

TEST(stable_diffusion, names_the_wrong_field_of_a_request) {
  const auto pipeline = loaded();
  const auto refusal = [&](auto change) {
    auto request = small_request();
    change(request);
    const auto started = stable_diffusion::start(pipeline, request);
    EXPECT_FALSE(started);
    EXPECT_EQ(started.error().code, ec::invalid_parameters);
    return started.error().message;
  };
  EXPECT_THAT(refusal([](auto& r) { r.width = 63; }), HasSubstr("width"));
  EXPECT_THAT(refusal([](auto& r) { r.height = 0; }), HasSubstr("height"));
  EXPECT_THAT(refusal([](auto& r) { r.steps = 0; }), HasSubstr("num_inference_steps"));
  EXPECT_THAT(refusal([](auto& r) { r.steps = 2000; }), HasSubstr("num_inference_steps"));
  EXPECT_THAT(refusal([](auto& r) { r.seeds = {1, 2}; }), HasSubstr("seed"));
  EXPECT_THAT(refusal([](auto& r) { r.prompts.clear(); }), HasSubstr("prompt"));
  EXPECT_THAT(refusal([](auto& r) { r.clip_skip = 2; }), HasSubstr("clip_skip"));
  EXPECT_THAT(refusal([](auto& r) {
                r.negative_prompts = {"a", "b"};
              }),
              HasSubstr("negative_prompt"));
}

std::string load_error(const std::filesystem::path& folder) {
  const auto pipeline = stable_diffusion::load(folder);
  EXPECT_FALSE(pipeline);
  return pipeline ? "" : render(pipeline.error());
}

TEST(stable_diffusion, refuses_other_pipelines_by_class_and_file) {
  const auto folder = copy_of_small_model("other");
  replace_in(folder / "model_index.json", "\"StableDiffusionPipeline\"",
             "\"StableDiffusionXLPipeline\"");
  const auto error = load_error(folder);
  EXPECT_THAT(error, HasSubstr("bad_file"));
  EXPECT_THAT(error, HasSubstr("model_index.json"));
  EXPECT_THAT(error, HasSubstr("StableDiffusionXLPipeline"));
}

TEST(stable_diffusion, refuses_inpainting_networks_before_reading_weights) {
  const auto folder = copy_of_small_model("inpaint");
  replace_in(folder / "unet/config.json", "\"in_channels\": 4", "\"in_channels\": 9");
  std::filesystem::remove(folder / "unet/diffusion_pytorch_model.safetensors");
  const auto error = load_error(folder);
  EXPECT_THAT(error, HasSubstr("unet/config.json"));
  EXPECT_THAT(error, HasSubstr("9 input"));
}

TEST(stable_diffusion, names_the_file_that_is_missing_or_unknown) {
  const auto folder = copy_of_small_model("broken");
  replace_in(folder / "scheduler/scheduler_config.json", "0.012", "12");
  EXPECT_THAT(load_error(folder), HasSubstr("scheduler_config.json"));
  std::filesystem::remove_all(folder / "scheduler");
  EXPECT_THAT(load_error(folder), HasSubstr("scheduler_config.json"));
  std::filesystem::remove_all(folder / "tokenizer");
  EXPECT_THAT(load_error(folder), HasSubstr("tokenizer"));
  EXPECT_THAT(load_error(folder / "nowhere"), HasSubstr("model_index.json"));
}

TEST(rescale_guidance, brings_back_the_deviation_by_the_share_asked) {
  const auto plain = at::linspace(-1, 1, 32).reshape({2, 1, 4, 4});
  const auto guided = plain * 3;
  EXPECT_TRUE(at::equal(rescale_guidance(guided, plain, 0), guided));
  EXPECT_TRUE(at::allclose(rescale_guidance(guided, plain, 1), plain, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(rescale_guidance(guided, plain, 0.5), plain * 2, 1e-5, 1e-6));
}

}  // namespace
}  // namespace lp::engine
