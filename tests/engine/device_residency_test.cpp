// SPDX-License-Identifier: MIT
// A GPU stands still whenever the host asks it for a number. Here a device that has no numbers at
// all (libtorch's "meta": shapes alone) takes the GPU's place: whatever would have to wait for it
// fails, and so does what mixes tensors of both sides.
#include <atomic>

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>
#include <torch/library.h>
#include <torch/version.h>

#include "pipelines/engine/dit.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "tests/engine/small_model.hpp"

namespace {

/// What libtorch 1.13 lacks for that device.
at::Tensor convolution_of_shapes(const at::Tensor& x, const at::Tensor& weight,
                                 const c10::optional<at::Tensor>& /*bias*/, at::IntArrayRef stride,
                                 at::IntArrayRef padding, at::IntArrayRef /*dilation*/,
                                 bool /*transposed*/, at::IntArrayRef /*output_padding*/,
                                 std::int64_t /*groups*/) {
  const auto side = [&](std::int64_t dim) {
    const auto p = static_cast<std::size_t>(dim - 2);
    return (x.size(dim) + 2 * padding[p] - weight.size(dim)) / stride[p] + 1;
  };
  return at::empty({x.size(0), weight.size(0), side(2), side(3)}, x.options());
}

at::Tensor rows_of_shapes(const at::Tensor& x, std::int64_t dim, const at::Tensor& rows) {
  auto sizes = x.sizes().vec();
  sizes[static_cast<std::size_t>(dim)] = rows.numel();
  return at::empty(sizes, x.options());
}

using maybe = c10::optional<at::Tensor>;

at::Tensor group_norm_of_shapes(const at::Tensor& x, std::int64_t /*groups*/,
                                const maybe& /*weight*/, const maybe& /*bias*/, double /*eps*/,
                                bool /*cudnn*/) {
  return at::empty(x.sizes(), x.options());
}

at::Tensor layer_norm_of_shapes(const at::Tensor& x, at::IntArrayRef /*shape*/,
                                const maybe& /*weight*/, const maybe& /*bias*/, double /*eps*/,
                                bool /*cudnn*/) {
  return at::empty(x.sizes(), x.options());
}

at::Tensor deviation_of_shapes(const at::Tensor& x, at::OptionalIntArrayRef dims,
                               c10::optional<std::int64_t> /*correction*/, bool keepdim) {
  return at::sum(x, dims, keepdim);
}

at::Tensor relu_of_shapes(const at::Tensor& x) {
  return at::empty(x.sizes(), x.options());
}

}  // namespace

#if TORCH_VERSION_MAJOR < 2
TORCH_LIBRARY_IMPL(aten, Meta, m) {
  m.impl("convolution_overrideable", &convolution_of_shapes);
  m.impl("index_select", &rows_of_shapes);
  m.impl("group_norm", &group_norm_of_shapes);
  m.impl("layer_norm", &layer_norm_of_shapes);
  m.impl("std.correction", &deviation_of_shapes);
  m.impl("relu", &relu_of_shapes);
}
#endif

namespace lp::engine {
namespace {

std::shared_ptr<const stable_diffusion> without_numbers(const std::filesystem::path& folder) {
  stable_diffusion_options options;
  options.precision = weight_precision::fp32;
  options.device = at::kMeta;
  auto pipeline = stable_diffusion::load(folder, options);
  EXPECT_TRUE(pipeline) << pipeline.error().message;
  return *pipeline;
}

drawing_request request() {
  drawing_request r;
  r.prompts = {"a red circle on a blue background"};
  r.seeds = {7};
  r.width = r.height = 64;
  r.steps = 4;
  return r;
}

/// Counts the tensors that go from the host to another device while it lives.
class crossings {
 public:
  crossings() {
    count() = 0;
    handle_ = at::addGlobalCallback(at::RecordFunctionCallback(&crossings::look)
                                        .needsInputs(true)
                                        .scopes({at::RecordScope::FUNCTION}));
  }
  ~crossings() { at::removeCallback(handle_); }
  crossings(const crossings&) = delete;
  crossings& operator=(const crossings&) = delete;

  int seen() const { return count(); }

 private:
  static std::atomic<int>& count() {
    static std::atomic<int> seen;
    return seen;
  }
  static std::unique_ptr<at::ObserverContext> look(const at::RecordFunction& f) {
    if (std::string_view(f.name()) == "aten::copy_" && f.inputs().size() > 1 &&
        f.inputs()[0].isTensor() && f.inputs()[1].isTensor()) {
      const auto& to = f.inputs()[0].toTensor();
      const auto& from = f.inputs()[1].toTensor();
      if (from.is_cpu() && !to.is_cpu()) ++count();
    }
    return nullptr;
  }
  at::CallbackHandle handle_ = 0;
};

class residency : public ::testing::TestWithParam<const char*> {};

TEST_P(residency, nothing_of_a_step_waits_for_the_device) {
  const auto pipeline = without_numbers(small_model());
  auto r = request();
  r.scheduler = GetParam();
  r.prompts.emplace_back("a green star");
  r.images_per_prompt = 2;
  r.seeds = {7, 8, 9, 10};
  r.guidance_rescale = 0.5;
  auto begun = stable_diffusion::start(pipeline, r);
  ASSERT_TRUE(begun) << begun.error().message;
  auto& d = **begun;
  EXPECT_TRUE(d.latents().is_meta());
  while (d.done() < d.total()) {
    const auto stepped = d.step();
    ASSERT_TRUE(stepped) << stepped.error().message;
  }
  EXPECT_TRUE(d.latents().is_meta());
  EXPECT_EQ(d.latents().scalar_type(), at::kFloat);
  const auto picture = d.picture(0);
  EXPECT_FALSE(picture) << "there are no numbers to make one of";
}

INSTANTIATE_TEST_SUITE_P(all, residency,
                         ::testing::Values("ddim", "ddpm", "deis", "dpm++_2m", "dpm++_2m_karras",
                                           "dpm++_2m_sde", "dpm++_single", "euler", "euler_a",
                                           "heun", "kdpm2", "kdpm2_a", "lcm", "lms", "pndm", "tcd",
                                           "unipc"),
                         [](const auto& scheduler) {
                           std::string name = scheduler.param;
                           for (auto& c : name)
                             if (c == '+') c = 'p';
                           return name;
                         });

int crossings_of_a_step(const std::string& scheduler, int steps_before) {
  const auto pipeline = without_numbers(small_model());
  auto r = request();
  r.scheduler = scheduler;
  auto begun = stable_diffusion::start(pipeline, r);
  if (!begun) {
    ADD_FAILURE() << begun.error().message;
    return -1;
  }
  for (int i = 0; i < steps_before; ++i) EXPECT_TRUE((*begun)->step());
  const crossings watch;
  EXPECT_TRUE((*begun)->step());
  return watch.seen();
}

TEST(residency_of_a_drawing, the_start_sends_and_the_watch_sees_it) {
  const auto pipeline = without_numbers(small_model());
  const crossings watch;
  EXPECT_TRUE(stable_diffusion::start(pipeline, request()));
  EXPECT_GT(watch.seen(), 0);
}

TEST(residency_of_a_drawing, a_step_sends_nothing_but_fresh_noise) {
  EXPECT_EQ(crossings_of_a_step("ddim", 0), 0);
  EXPECT_EQ(crossings_of_a_step("dpm++_2m", 2), 0);
  EXPECT_EQ(crossings_of_a_step("euler_a", 1), 1) << "the seed's numbers are the CPU's";
}

TEST(residency_of_a_drawing, pictures_and_masks_come_along) {
  const auto pipeline = without_numbers(small_model());
  auto r = request();
  r.image = at::rand({1, 3, 64, 64});
  r.mask = at::ones({1, 1, 64, 64});
  r.strength = 0.6;
  auto begun = stable_diffusion::start(pipeline, r);
  ASSERT_TRUE(begun) << begun.error().message;
  while ((*begun)->done() < (*begun)->total()) {
    const auto stepped = (*begun)->step();
    ASSERT_TRUE(stepped) << stepped.error().message;
  }
}

class shapes_alone : public parameters {
 public:
  at::Tensor take(const std::string& /*name*/, at::IntArrayRef shape) override {
    return at::empty(shape, at::TensorOptions(at::kMeta).dtype(at::kFloat));
  }
  bool has(const std::string& /*name*/) const override { return false; }
};

TEST(residency_of_a_transformer, nothing_of_a_step_waits_for_the_device) {
  shapes_alone source;
  const dit network({.classes = 10,
                     .channels = 1,
                     .patch = 2,
                     .side = 4,
                     .width = 8,
                     .inner = 16,
                     .hidden = 24,
                     .blocks = 2},
                    scope(source));
  const c10::InferenceMode no_gradients;
  const crossings watch;
  auto x = at::empty({3, 1, 8, 8}, at::TensorOptions(at::kMeta).dtype(at::kFloat));
  const auto noise = network(x, 7, at::full({3}, 1, x.options().dtype(at::kLong)));
  x.copy_(clipped_ddim_step(x, noise, 0.5, 0.7));
  EXPECT_TRUE(x.is_meta());
  EXPECT_EQ(noise.sizes(), x.sizes());
  EXPECT_EQ(watch.seen(), 0);
}

}  // namespace
}  // namespace lp::engine
