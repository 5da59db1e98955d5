// SPDX-License-Identifier: MIT
// Convolutions in bf16 between planes in fp32: half the weights and, where the processor has it,
// half the time, and a picture that nobody can tell from the other.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "pipelines/engine/autoencoder_kl.hpp"
#include "pipelines/engine/checkpoint.hpp"

namespace lp::engine {
namespace {

/// A disc on a flat ground, [1, 3, side, side] in [-1, 1].
at::Tensor disc(std::int64_t side) {
  const auto along = at::linspace(-1, 1, side);
  const auto inside = (along.square().unsqueeze(0) + along.square().unsqueeze(1)).lt(0.3);
  const auto ground = at::tensor({0.2, -0.5, 0.8}).to(at::kFloat).view({1, 3, 1, 1});
  const auto ink = at::tensor({-0.9, 0.6, 0.1}).to(at::kFloat).view({1, 3, 1, 1});
  return at::where(inside, ink, ground);
}

at::Tensor levels(const at::Tensor& picture) {
  return (picture / 2 + 0.5).clamp(0, 1) * 255;
}

TEST(autoencoder_precision, convolutions_in_bf16_draw_the_same_picture) {
  const c10::InferenceMode no_gradients;
  const std::filesystem::path folder = LP_SOURCE_DIR "/examples/models/shapes-64/vae";
  std::uint64_t exact_bytes = 0, lean_bytes = 0;
  const auto exact = load_autoencoder_kl(folder, at::kFloat, at::kCPU, &exact_bytes).value();
  const auto lean = load_autoencoder_kl(folder, at::kBFloat16, at::kCPU, &lean_bytes).value();
  EXPECT_EQ(lean_bytes * 2, exact_bytes);
  // Whole planes, and such as are computed in stripes.
  for (const std::int64_t side : {64, 512}) {
    const auto picture = disc(side);
    const auto moments = exact->encode(picture), lean_moments = lean->encode(picture);
    EXPECT_EQ(lean_moments.scalar_type(), at::kFloat);
    const auto off = (moments - lean_moments).abs();
    EXPECT_LT(off.mean().item<double>(), 0.01 * moments.abs().mean().item<double>());
    const auto latents = latent_distribution::from_moments(moments).mean;
    const auto drawn = exact->decode(latents), lean_drawn = lean->decode(latents);
    EXPECT_EQ(lean_drawn.scalar_type(), at::kFloat);
    const auto apart = (levels(drawn) - levels(lean_drawn)).abs();
    EXPECT_LT(apart.mean().item<double>(), 0.25);
    EXPECT_LT(apart.max().item<double>(), 4);
  }
}

}  // namespace
}  // namespace lp::engine
