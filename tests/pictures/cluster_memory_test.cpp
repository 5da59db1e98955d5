// SPDX-License-Identifier: MIT
// Jobs admitted by memory, through every node of the example configuration.
#include <future>
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "pipelines/engine.hpp"
#include "tests/pictures/example_cluster.hpp"

namespace lp::testing {
namespace {

/// The embedded model holds 17 MiB of weights; one picture is foreseen to take 6 MiB on top.
std::string example_within(const std::string& limit) {
  return std::regex_replace(example(), std::regex(R"(\n\[\[worker\]\])"),
                            "\n[[worker]]\nslots = 4\nmemory_limit = \"" + limit + "\"");
}

/// The engine's limit is the process's.
struct no_limit_afterwards {
  ~no_limit_afterwards() { (*pipelines::get_engine())->limit_memory(0); }
};

constexpr const char* body =
    R"({"prompt":"a red circle on a blue background","seed":7,"width":64,"height":64,
        "num_inference_steps":4})";

TEST(cluster_memory, jobs_wait_for_room_and_are_all_drawn) {
  const no_limit_afterwards after;
  test_cluster cluster(example_within("27 MiB"));
  std::vector<std::future<answer>> answers;
  for (int i = 0; i < 6; ++i) {
    answers.push_back(std::async(std::launch::async, [client = cluster.client()]() mutable {
      return client.post("/text-to-image?media=data", body);
    }));
  }
  std::string first;
  for (auto& one : answers) {
    const answer a = one.get();
    ASSERT_EQ(a.status, 200U) << a.text;
    const std::string url(a.body.at("images").at(0).at("url").as_string());
    if (first.empty()) first = url;
    EXPECT_EQ(url, first);
  }
}

TEST(cluster_memory, jobs_that_never_fit_are_refused_with_the_reason) {
  const no_limit_afterwards after;
  test_cluster cluster(example_within("21 MiB"));
  const answer a = cluster.client().post("/text-to-image", body);
  EXPECT_GE(a.status, 500U) << a.text;
  EXPECT_NE(a.text.find("memory_limit"), std::string::npos) << a.text;
  EXPECT_EQ(cluster.client().get("/health").status, 200U);
}

}  // namespace
}  // namespace lp::testing
