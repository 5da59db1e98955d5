// SPDX-License-Identifier: MIT
// What runs on a GPU against what runs on the CPU. Skipped where there is none, or no libtorch for
// it; the rest of the GPU's way is tested in recorded_calls_test and device_residency_test.
#include <optional>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "pipelines/engine/attention.hpp"
#include "pipelines/engine/compute_scope.hpp"
#include "pipelines/engine/cuda/devices.hpp"
#include "pipelines/engine/cuda/torch/torch_cuda.hpp"
#include "pipelines/engine/guarded.hpp"
#include "pipelines/engine/nn.hpp"
#include "pipelines/engine/pixels.hpp"
#include "pipelines/engine/random_parameters.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "tests/engine/small_model.hpp"

namespace lp::engine {
namespace {

class gpu_path : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_torch_cuda()) GTEST_SKIP() << "built without a libtorch for GPUs";
    if (cuda_devices().empty()) GTEST_SKIP() << "no GPU: " << cuda_state();
    where.type = pipelines::device::kind::cuda;
    computing.emplace(where);
  }

  static std::shared_ptr<const stable_diffusion> load(at::Device device,
                                                      weight_precision precision) {
    stable_diffusion_options options;
    options.precision = precision;
    options.device = device;
    auto out = stable_diffusion::load(small_model(), options);
    EXPECT_TRUE(out) << out.error().message;
    return *out;
  }

  static at::Tensor draw(const std::shared_ptr<const stable_diffusion>& pipeline,
                         const std::string& scheduler, bool lean = false) {
    drawing_request r;
    r.prompts = {"a red circle on a blue background"};
    r.seeds = {7};
    r.width = r.height = 64;
    r.steps = 8;
    r.scheduler = scheduler;
    r.lean = lean;
    auto d = stable_diffusion::start(pipeline, r).value();
    while (d->done() < d->total()) {
      const auto stepped = d->step();
      EXPECT_TRUE(stepped) << stepped.error().message;
    }
    const auto picture = d->picture(0).value();
    EXPECT_EQ(d->pixels(0).value().pixels, to_pixels(picture).pixels);
    return picture;
  }

  static double difference(const at::Tensor& a, const at::Tensor& b) {
    return (a.cpu().to(at::kFloat) - b.cpu().to(at::kFloat)).abs().max().item<double>();
  }

  pipelines::device where;
  const at::Device gpu{at::kCUDA, 0};
  std::optional<compute_scope> computing;
};

TEST_F(gpu_path, draws_what_the_cpu_draws) {
  const auto here = load(at::kCPU, weight_precision::fp32);
  const auto there = load(gpu, weight_precision::fp32);
  for (const auto* scheduler : {"ddim", "euler_a", "dpm++_2m", "unipc"})
    EXPECT_LT(difference(draw(here, scheduler), draw(there, scheduler)), 0.03) << scheduler;
}

TEST_F(gpu_path, draws_in_16_bits_nearly_the_same) {
  const auto exact = draw(load(gpu, weight_precision::fp32), "ddim");
  for (const auto precision : {weight_precision::bf16, weight_precision::fp16}) {
    const auto picture = draw(load(gpu, precision), "ddim");
    EXPECT_TRUE(at::isfinite(picture).all().item<bool>());
    EXPECT_LT((picture - exact).abs().mean().item<double>(), 0.05);
  }
}

TEST_F(gpu_path, recorded_calls_draw_what_plain_ones_do) {
  const auto pipeline = load(gpu, weight_precision::fp32);
  const auto recorded = draw(pipeline, "euler_a");
  EXPECT_LT(difference(recorded, draw(pipeline, "euler_a", true)), 1e-2);
  EXPECT_LT(difference(recorded, draw(pipeline, "euler_a")), 1e-4) << "played from the start";
}

TEST_F(gpu_path, a_call_is_recorded_and_played_with_other_inputs) {
  const auto recorder = new_graph_recorder(gpu);
  const auto weight = at::randn({64, 64}, gpu);
  const network_call network = [&](const std::vector<at::Tensor>& in) {
    return at::relu(at::mm(in.at(0), weight));
  };
  const c10::InferenceMode no_gradients;
  const auto first = at::randn({8, 64}, gpu), second = at::randn({8, 64}, gpu);
  (void)network({first});
  const auto recording = recorder->record(network, {first, at::Tensor()});
  ASSERT_NE(recording, nullptr);
  const auto one = recording->play({first, at::Tensor()});
  const auto other = recording->play({second, at::Tensor()});
  EXPECT_LT(difference(one, network({first})), 1e-3);
  EXPECT_LT(difference(other, network({second})), 1e-3);
}

TEST_F(gpu_path, what_waits_for_the_gpu_is_not_recorded_and_harms_nothing) {
  const auto recorder = new_graph_recorder(gpu);
  const c10::InferenceMode no_gradients;
  const network_call waits = [](const std::vector<at::Tensor>& in) {
    return in.at(0) * in.at(0).sum().item<float>();
  };
  const auto x = at::ones({4}, gpu);
  EXPECT_EQ(recorder->record(waits, {x}), nullptr);
  EXPECT_EQ(waits({x}).sum().item<float>(), 16);
}

TEST_F(gpu_path, attention_and_norms_are_those_of_the_cpu) {
  const c10::InferenceMode no_gradients;
  at::manual_seed(3);
  const auto q = at::randn({2, 77, 64}), k = at::randn({2, 77, 64}), v = at::randn({2, 77, 64});
  for (const bool causal : {false, true})
    EXPECT_LT(difference(attention(q, k, v, 4, causal),
                         attention(q.to(gpu), k.to(gpu), v.to(gpu), 4, causal)),
              2e-3);
  random_parameters here({.requires_grad = false});
  random_parameters there({.requires_grad = false, .device = gpu});
  const nn::group_norm norm(lp::engine::scope(here), 8, 64, 1e-5);
  const nn::group_norm same(lp::engine::scope(there), 8, 64, 1e-5);
  const auto x = at::randn({2, 64, 12, 10}) + 3;
  const auto expected = norm(x, nn::activation::silu);
  EXPECT_LT(difference(expected, same(x.to(gpu), nn::activation::silu)), 1e-4);
  EXPECT_LT(difference(expected, same(x.to(gpu, at::kBFloat16), nn::activation::silu)), 0.05);
}

TEST_F(gpu_path, pixels_are_those_of_the_cpu_bit_for_bit) {
  at::manual_seed(4);
  const auto decoded = at::randn({1, 3, 40, 56});
  for (const auto type : {at::kFloat, at::kHalf, at::kBFloat16}) {
    const auto given = decoded.to(type);
    const auto expected = decoded_pixels(given).pixels;
    EXPECT_EQ(decoded_pixels(given.to(gpu)).pixels, expected);
    EXPECT_EQ(decoded_pixels(given.to(gpu).contiguous(at::MemoryFormat::ChannelsLast)).pixels,
              expected);
  }
}

TEST_F(gpu_path, lack_of_memory_is_an_error_of_that_name_and_passes) {
  const auto refused = guarded([&]() -> result<void> {
    (void)at::empty({std::int64_t{1} << 44}, at::TensorOptions(at::kFloat).device(gpu));
    return {};
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::out_of_memory);
  EXPECT_EQ(at::ones({3}, gpu).sum().item<float>(), 3);
}

TEST_F(gpu_path, an_unloaded_model_gives_its_memory_back) {
  // The first model also brings what libraries keep for good.
  (void)draw(load(gpu, weight_precision::fp32), "ddim");
  const auto before = gpu_memory(gpu).in_use;
  auto pipeline = load(gpu, weight_precision::fp32);
  (void)draw(pipeline, "ddim");
  EXPECT_GT(gpu_memory(gpu).in_use, before);
  pipeline.reset();
  EXPECT_EQ(gpu_memory(gpu).in_use, before);
}

}  // namespace
}  // namespace lp::engine
