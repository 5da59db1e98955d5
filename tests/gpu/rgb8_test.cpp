// SPDX-License-Identifier: MIT
#include "pipelines/engine/cuda/kernels/rgb8.hpp"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "pipelines/engine/cuda/kernels/pixel_value.hpp"
#include "tests/gpu/gpu_memory.hpp"

namespace lp::engine {
namespace {

constexpr int height = 37, width = 53, positions = height * width;

class rgb8 : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = why_no_gpu(); !why.empty()) GTEST_SKIP() << why;
  }

  static std::vector<std::uint8_t> made_on_gpu(const gpu_picture& picture) {
    const std::size_t bytes = positions * 3;
    const gpu_memory out(bytes);
    cudaStream_t stream = nullptr;
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    const char* refused =
        queue_rgb8(picture, static_cast<std::uint8_t*>(out.get()), static_cast<void*>(stream));
    EXPECT_EQ(refused, nullptr) << refused;
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    (void)cudaStreamDestroy(stream);
    return out.values<std::uint8_t>();
  }
};

/// Every kind of value: through the range, beyond it, and not a number.
float value_at(int channel, int pixel) {
  if (pixel == 7) return channel == 0 ? NAN : channel == 1 ? INFINITY : -INFINITY;
  return -1.2F + 2.4F * static_cast<float>((pixel * 3 + channel) % 4093) / 4092.0F;
}

template <class Number>
void expect_as_on_the_cpu(gpu_number type, bool channels_last, bool grey,
                          std::vector<std::uint8_t> (*make)(const gpu_picture&)) {
  const int channels = grey ? 1 : 3;
  std::vector<Number> values(positions * channels);
  std::vector<std::uint8_t> expected(positions * 3);
  for (int pixel = 0; pixel < positions; ++pixel) {
    for (int channel = 0; channel < 3; ++channel) {
      const int from = grey ? 0 : channel;
      const auto number = static_cast<Number>(value_at(from, pixel));
      values[channels_last ? pixel * channels + from : from * positions + pixel] = number;
      expected[pixel * 3 + channel] = decoded_byte(static_cast<float>(number));
    }
  }
  const gpu_memory held(values);
  const int column = channels_last ? channels : 1;
  const gpu_picture picture{
      held.get(),     type,  height, width, grey ? 0 : channels_last ? 1 : positions,
      column * width, column};
  EXPECT_EQ(make(picture), expected);
}

TEST_F(rgb8, is_that_of_the_cpu_bit_for_bit_in_every_type_and_layout) {
  for (const bool channels_last : {false, true}) {
    for (const bool grey : {false, true}) {
      expect_as_on_the_cpu<float>(gpu_number::fp32, channels_last, grey, made_on_gpu);
      expect_as_on_the_cpu<__half>(gpu_number::fp16, channels_last, grey, made_on_gpu);
      expect_as_on_the_cpu<__nv_bfloat16>(gpu_number::bf16, channels_last, grey, made_on_gpu);
    }
  }
}

TEST_F(rgb8, of_nothing_is_nothing) {
  EXPECT_EQ(queue_rgb8({}, nullptr, nullptr), nullptr);
}

TEST(rgb8_without_gpu, says_what_cuda_said) {
  if (why_no_gpu().empty()) GTEST_SKIP() << "there is a GPU";
  const float value = 0;
  std::uint8_t out[3] = {};
  const char* refused = queue_rgb8({&value, gpu_number::fp32, 1, 1, 0, 1, 1}, out, nullptr);
  ASSERT_NE(refused, nullptr);
  EXPECT_GT(std::strlen(refused), 0U);
}

}  // namespace
}  // namespace lp::engine
