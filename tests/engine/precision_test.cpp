// SPDX-License-Identifier: MIT
#include "pipelines/engine/precision.hpp"

#include <gtest/gtest.h>

#include "tests/engine/small_model.hpp"

namespace lp::engine {
namespace {

constexpr auto automatic = weight_precision::automatic;

TEST(choose_precision, takes_for_large_weights_the_best_of_16_bits_that_is_fast) {
  EXPECT_EQ(choose_precision(automatic, fast_numbers_of_gpu(9), large_weights),
            weight_precision::bf16);
  EXPECT_EQ(choose_precision(automatic, fast_numbers_of_gpu(8), large_weights),
            weight_precision::bf16);
  EXPECT_EQ(choose_precision(automatic, fast_numbers_of_gpu(7), large_weights),
            weight_precision::fp16);
  EXPECT_EQ(choose_precision(automatic, fast_numbers_of_gpu(6), large_weights),
            weight_precision::fp32);
  EXPECT_EQ(choose_precision(automatic, fast_numbers_of_gpu(9), large_weights - 1),
            weight_precision::fp32);
}

TEST(choose_precision, does_as_it_is_told) {
  EXPECT_EQ(choose_precision(weight_precision::fp16, fast_numbers{}, 1), weight_precision::fp16);
  EXPECT_EQ(choose_precision(weight_precision::fp32, fast_numbers_of_gpu(9), large_weights),
            weight_precision::fp32);
}

TEST(choose_precision, knows_no_fp16_on_the_cpu) {
  EXPECT_FALSE(fast_numbers_of(at::kCPU).fp16);
  stable_diffusion_options options;
  options.precision = weight_precision::fp16;
  const auto refused = stable_diffusion::load(small_model(), options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::bad_config);
}

}  // namespace
}  // namespace lp::engine
