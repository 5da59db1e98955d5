// SPDX-License-Identifier: MIT
#include "pipelines/device.hpp"

#include <gtest/gtest.h>

namespace lp::pipelines {
namespace {

TEST(device, names_come_back_as_they_were_written) {
  for (const char* text : {"cpu", "cpu:1", "cpu:1024", "cuda:0", "cuda:63"}) {
    const auto parsed = parse_device(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->name(), text);
  }
}

TEST(device, cuda_alone_is_the_first_one) {
  const auto parsed = parse_device("cuda");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->type, device::kind::cuda);
  EXPECT_EQ(parsed->name(), "cuda:0");
}

TEST(device, threads_and_ordinals_are_told_apart) {
  EXPECT_EQ(parse_device("cpu:2")->threads, 2);
  EXPECT_EQ(parse_device("cpu:2")->index, 0);
  EXPECT_EQ(parse_device("cuda:2")->index, 2);
  EXPECT_EQ(parse_device("cuda:2")->threads, 0);
}

TEST(device, anything_else_is_refused_by_name) {
  for (const char* text :
       {"", "gpu", "CPU", "cpu:", "cpu:0", "cpu:1025", "cpu:-1", "cpu:+1", "cpu:2x", "cpu: 2",
        "cpu:99999999999999999999", "cuda:", "cuda:64", "cuda:-1", "cuda:0:0", "cpucpu"}) {
    const auto parsed = parse_device(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ec::bad_config);
    EXPECT_NE(parsed.error().message.find('"' + std::string(text) + '"'), std::string::npos);
  }
}

}  // namespace
}  // namespace lp::pipelines
