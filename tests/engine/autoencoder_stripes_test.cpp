// SPDX-License-Identifier: MIT
// Large planes in stripes: the same numbers as from whole ones, in less memory. Whole planes are
// had by recording gradients.
#include "pipelines/engine/autoencoder_stripes.hpp"

#include <functional>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "pipelines/engine/autoencoder_kl.hpp"
#include "pipelines/engine/random_parameters.hpp"
#include "pipelines/engine/tensor_memory.hpp"

namespace lp::engine {
namespace {

at::Tensor random(at::IntArrayRef shape) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(5), at::kFloat) * 2 + 0.5;
}

/// What a computation gives and the bytes of tensors at its highest point, its result among them.
struct outcome {
  at::Tensor result;
  std::uint64_t peak = 0;
};

outcome measured(const std::function<at::Tensor()>& compute) {
  const auto before = tensor_memory().in_use;
  reset_tensor_memory_peak();
  outcome out{compute(), 0};
  out.peak = tensor_memory().peak - before;
  return out;
}

outcome in_stripes(const std::function<at::Tensor()>& compute) {
  const c10::InferenceMode no_gradients;
  return measured(compute);
}

class autoencoder_stripes : public ::testing::Test {
 protected:
  void SetUp() override { use_tensor_memory(); }

  static void expect_same(const at::Tensor& whole, const at::Tensor& cut) {
    ASSERT_EQ(whole.sizes(), cut.sizes());
    EXPECT_LT((whole - cut).abs().max().item<double>(), 1e-4 * whole.abs().max().item<double>());
  }
  static void expect_same(const std::function<at::Tensor()>& compute) {
    expect_same(compute(), in_stripes(compute).result);
  }

  random_parameters source{{1, at::kFloat, false, at::Device(at::kCPU)}};
  scope at{source};
};

TEST_F(autoencoder_stripes, give_what_whole_planes_give) {
  // 64 KiB or 128 KiB a row: several stripes, the last one shorter.
  for (const std::int64_t height : {260, 301}) {
    const auto x = random({1, 16, height, 1024});
    const resnet_block same(at / "same", {16, 16, 0, 4, 1e-6});
    expect_same([&] { return stripes::residual(same, x); });
    const resnet_block wider(at / "wider", {16, 32, 0, 4, 1e-6});
    expect_same([&] { return stripes::residual(wider, x); });
    const nn::group_norm norm(at / "norm", 4, 16, 1e-6);
    const nn::conv2d out(at / "out", 16, 3);
    expect_same([&] { return stripes::convolve(norm, out, x); });
    const nn::conv2d in(at / "in", 16, 24);
    expect_same([&] { return stripes::convolve(in, x); });
    const downsample down(at / "down", 16, true);
    expect_same([&] { return stripes::halve_size(down, x); });
    const upsample up(at / "up", 16);
    expect_same([&] { return stripes::double_size(up, x.narrow(3, 0, 512).contiguous()); });
  }
}

TEST_F(autoencoder_stripes, are_those_of_the_plane_alone) {
  const resnet_block block(at, {16, 16, 0, 4, 1e-6});
  const auto x = random({1, 16, 300, 1024});
  const auto before = x.clone();
  (void)in_stripes([&] { return stripes::residual(block, x); });
  EXPECT_TRUE(at::equal(x, before));
}

TEST_F(autoencoder_stripes, take_little_more_than_the_planes) {
  const autoencoder_kl net(*parse_autoencoder_kl_config(boost::json::parse(R"({
      "block_out_channels": [16, 16], "layers_per_block": 1, "norm_num_groups": 4,
      "mid_block_add_attention": false,
      "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"],
      "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"]})")
                                                            .as_object()),
                           at);
  const std::uint64_t plane = std::uint64_t{16} * 1024 * 1024 * sizeof(float);
  const auto latents = random({1, 4, 512, 512});
  const auto decode = [&] { return net.decode(latents); };
  const auto whole = measured(decode), decoded = in_stripes(decode);
  EXPECT_GT(whole.peak, 4 * plane) << "what this is for";
  EXPECT_LT(decoded.peak, 3 * plane);
  expect_same(whole.result, decoded.result);
  const auto encode = [&] { return net.encode(whole.result); };
  const auto encoded = in_stripes(encode);
  EXPECT_LT(encoded.peak, 3 * plane);
  expect_same(encode(), encoded.result);
}

}  // namespace
}  // namespace lp::engine
