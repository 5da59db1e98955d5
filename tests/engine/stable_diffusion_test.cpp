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
  EXPECT_TRUE(at::equal(draw(pipeline, one)[0], batch[0]));
  one.prompts = {"a green star"};
  one.seeds = {10};
  EXPECT_TRUE(at::equal(draw(pipeline, one)[0], batch[3]));
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

/// Steps all of them together, each joining `late` calls after the one before.
void step_in_company(const std::vector<drawing*>& drawings, int late) {
  for (int call = 0;; ++call) {
    std::vector<drawing*> now;
    bool waiting = false;
    for (std::size_t i = 0; i < drawings.size(); ++i) {
      const bool begun = call >= static_cast<int>(i) * late;
      waiting = waiting || !begun;
      if (begun && drawings[i]->done() < drawings[i]->total()) now.push_back(drawings[i]);
    }
    if (now.empty() && !waiting) return;
    if (now.empty()) continue;
    for (const auto& stepped : drawing::step_together(now)) ASSERT_TRUE(stepped);
  }
}

void expect_same_in_company(weight_precision precision) {
  const auto pipeline = loaded(precision);
  std::vector<drawing_request> requests;
  for (std::uint64_t i = 0; i < 4; ++i) {
    auto r = small_request();
    r.seeds = {i, i + 100};
    r.images_per_prompt = 2;
    r.prompts = {i % 2 == 0 ? "a red circle" : "a green star on a white background"};
    r.steps = 3 + static_cast<int>(i);
    r.guidance_scale = i == 2 ? 1 : 7.5;
    r.scheduler = i == 1 ? "euler_a" : i == 3 ? "heun" : "";
    requests.push_back(r);
  }
  std::vector<std::unique_ptr<drawing>> alone, together;
  std::vector<drawing*> company;
  for (const auto& r : requests) {
    alone.push_back(stable_diffusion::start(pipeline, r).value());
    together.push_back(stable_diffusion::start(pipeline, r).value());
    company.push_back(together.back().get());
    EXPECT_EQ(company.back()->batch_key(), company.front()->batch_key());
  }
  step_in_company(company, 2);
  for (std::size_t i = 0; i < alone.size(); ++i) {
    while (alone[i]->done() < alone[i]->total()) ASSERT_TRUE(alone[i]->step());
    EXPECT_TRUE(at::equal(alone[i]->latents(), together[i]->latents())) << i;
  }
}

TEST(stable_diffusion, draws_the_same_bits_whoever_shares_the_calls) {
  expect_same_in_company(weight_precision::fp32);
}

TEST(stable_diffusion, draws_the_same_bits_in_bf16_too) {
  expect_same_in_company(weight_precision::bf16);
}

TEST(stable_diffusion, drawings_of_other_sizes_do_not_share_calls) {
  const auto pipeline = loaded();
  auto wide = small_request();
  wide.width = 96;
  EXPECT_NE(stable_diffusion::start(pipeline, wide).value()->batch_key(),
            stable_diffusion::start(pipeline, small_request()).value()->batch_key());
}

TEST(stable_diffusion, every_scheduler_of_a_request_draws) {
  const auto pipeline = loaded();
  std::vector<at::Tensor> seen;
  for (const auto* name : {"ddim", "ddpm", "deis", "dpm++_2m", "dpm++_2m_karras", "dpm++_2m_sde",
                           "dpm++_single", "euler", "euler_karras", "euler_a", "heun", "kdpm2",
                           "kdpm2_a", "lcm", "lms", "pndm", "tcd", "unipc"}) {
    auto r = small_request();
    r.scheduler = name;
    r.steps = 4;
    const auto picture = draw(pipeline, r)[0];
    EXPECT_TRUE(at::isfinite(picture).all().item<bool>()) << name;
    for (const auto& other : seen) EXPECT_FALSE(at::equal(picture, other)) << name;
    seen.push_back(picture);
  }
}

TEST(stable_diffusion, weights_and_long_prompts_change_the_picture_and_plain_ones_do_not) {
  const auto pipeline = loaded();
  const auto with = [&](const std::string& prompt) {
    auto r = small_request();
    r.prompts = {prompt};
    return stable_diffusion::start(pipeline, r).value()->prompt_embeds();
  };
  const auto plain = with("a red circle on a blue background");
  EXPECT_TRUE(at::equal(with("a (red:1.0) circle on a blue background"), plain));
  const auto weighted = with("a (red:1.5) circle on a blue background");
  EXPECT_EQ(weighted.sizes(), plain.sizes());
  EXPECT_FALSE(at::equal(weighted, plain));
  EXPECT_NEAR(weighted.mean().item<double>(), plain.mean().item<double>(), 1e-5);
  std::string words;
  for (int i = 0; i < 100; ++i) words += "red circle ";
  const auto longer = with(words);
  EXPECT_GT(longer.size(1), plain.size(1));
  EXPECT_EQ(longer.size(1) % plain.size(1), 0);
}

TEST(stable_diffusion, strength_tells_how_many_steps_are_left) {
  const auto pipeline = loaded();
  auto r = small_request();
  r.steps = 50;
  r.scheduler = "ddim";
  r.image = at::full({1, 3, 64, 64}, 0.5);
  r.strength = 0.58;
  EXPECT_EQ(stable_diffusion::start(pipeline, r).value()->total(), 28);
  r.strength = 0;
  const auto none = stable_diffusion::start(pipeline, r);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("strength"));
}

TEST(stable_diffusion, a_mask_keeps_what_is_black) {
  const auto pipeline = loaded();
  auto r = small_request();
  r.image = at::rand({1, 3, 64, 64});
  r.mask = at::zeros({1, 1, 64, 64});
  r.strength = 1;
  const auto kept = draw(pipeline, r)[0];
  r.seeds = {12345};
  r.prompts = {"something else"};
  // Nothing is repainted, so only the encoder's own noise may differ.
  EXPECT_LT((draw(pipeline, r)[0] - kept).abs().mean().item<double>(), 0.2);
  r.mask = at::ones({1, 1, 64, 64});
  EXPECT_GT(difference(draw(pipeline, r)[0], kept), 0.01);
}

TEST(stable_diffusion, foresees_more_memory_for_more_pixels) {
  const auto pipeline = loaded();
  auto r = small_request();
  const auto small = pipeline->memory_for(r);
  EXPECT_EQ(small.weights, pipeline->bytes());
  EXPECT_GT(small.peak, 64U * 64 * 3 * 4);
  r.width = r.height = 512;
  EXPECT_GT(pipeline->memory_for(r).peak, 8 * small.peak);
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
  replace_in(folder / "model_index.json", "\"StableDiffusionPipeline\"", "\"KandinskyPipeline\"");
  const auto error = load_error(folder);
  EXPECT_THAT(error, HasSubstr("bad_file"));
  EXPECT_THAT(error, HasSubstr("model_index.json"));
  EXPECT_THAT(error, HasSubstr("KandinskyPipeline"));
}

TEST(stable_diffusion, refuses_networks_of_unknown_use_before_reading_weights) {
  const auto folder = copy_of_small_model("odd");
  replace_in(folder / "unet/config.json", "\"in_channels\": 4", "\"in_channels\": 5");
  std::filesystem::remove(folder / "unet/diffusion_pytorch_model.safetensors");
  const auto error = load_error(folder);
  EXPECT_THAT(error, HasSubstr("unet/config.json"));
  EXPECT_THAT(error, HasSubstr("5 input"));
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
