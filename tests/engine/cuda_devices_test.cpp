// SPDX-License-Identifier: MIT
// Runs with and without a GPU: with none, the lists are empty and nothing is an error.
#include "pipelines/engine/cuda/devices.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lp::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(cuda_devices, are_numbered_and_described) {
  const auto devices = cuda_devices();
  for (std::size_t i = 0; i < devices.size(); ++i) {
    EXPECT_EQ(devices[i].id, "cuda:" + std::to_string(i));
    EXPECT_FALSE(devices[i].name.empty());
    EXPECT_GT(devices[i].memory_bytes, 0u);
    EXPECT_THAT(devices[i].detail, HasSubstr("compute capability"));
  }
  EXPECT_EQ(cuda_devices().size(), devices.size()) << "asking again changes nothing";
}

TEST(cuda_devices, the_state_says_why_there_are_none) {
  const std::string state = cuda_state();
  if (cuda_devices().empty()) {
    EXPECT_TRUE(state == "none (built without CUDA)" || state.find("no driver") != state.npos ||
                state.find("0 devices") != state.npos || state.find("driver for") != state.npos)
        << state;
  } else {
    EXPECT_THAT(state, HasSubstr("device"));
  }
}

TEST(gpu_health, of_an_unknown_device_is_empty_and_no_error) {
  const gpu_health health = read_gpu_health("ffff:ff:1f.7");
  EXPECT_FALSE(health.temperature_c || health.busy_percent || health.memory_free ||
               health.ecc_errors || health.throttled);
  EXPECT_EQ(to_text(health), "");
}

TEST(gpu_health, tells_what_is_known) {
  gpu_health health;
  health.temperature_c = 34;
  health.ecc_errors = 0;
  EXPECT_EQ(to_text(health), "34 °C, no ECC errors");
  health.busy_percent = 97;
  health.memory_free = 1ULL << 30;
  health.ecc_errors = 3;
  health.throttled = {"power cap", "temperature (hardware)"};
  EXPECT_EQ(to_text(health),
            "34 °C, 97 % busy, 1.0 GiB free, 3 ECC errors, slowed by power cap and temperature "
            "(hardware)");
}

TEST(gpu_health, idling_is_no_throttling) {
  EXPECT_THAT(throttle_reasons(0x1), IsEmpty());
  EXPECT_THAT(throttle_reasons(0x1 | 0x4 | 0x40),
              ElementsAre("power cap", "temperature (hardware)"));
}

}  // namespace
}  // namespace lp::engine
