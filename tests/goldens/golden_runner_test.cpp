// SPDX-License-Identifier: MIT
// The runner of the goldens must itself find what is wrong: it is run on folders made here.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipelines/engine/random.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "runtime/base/bytes.hpp"
#include "tools/golden-runner/compare.hpp"

namespace lp::goldens {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

constexpr double infinite = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

distance between(const at::Tensor& got, const at::Tensor& expected, double atol = 0.5) {
  return compare(got, {expected, atol, 0});
}

TEST(compare, floats_have_a_tolerance) {
  const auto d = between(at::tensor({1.0, 2.25, 3.0}), at::tensor({1.0, 2.0, 3.0}));
  EXPECT_TRUE(d.passed());
  EXPECT_DOUBLE_EQ(d.worst, 0.25);
  EXPECT_DOUBLE_EQ(d.share, 0.5);
  EXPECT_EQ(d.where, "[1]");
  EXPECT_FALSE(between(at::tensor({2.75}), at::tensor({2.0})).passed());
  EXPECT_TRUE(compare(at::tensor({11.0}), {at::tensor({10.0}), 0, 0.1}).passed());
}

TEST(compare, integers_must_be_equal) {
  const auto expected = at::tensor({1, 2}, at::kLong);
  EXPECT_TRUE(between(at::tensor({1.0, 2.0}), expected).passed());
  EXPECT_FALSE(between(at::tensor({1.0, 2.25}), expected).passed());
  EXPECT_FALSE(between(at::tensor({1, 3}, at::kInt), expected).passed());
}

TEST(compare, shapes_and_what_is_not_finite) {
  EXPECT_FALSE(between(at::ones({2, 3}), at::ones({3, 2})).passed());
  EXPECT_FALSE(between({}, at::ones({1})).passed());
  EXPECT_FALSE(between(at::tensor({nan}), at::tensor({1.0})).passed());
  EXPECT_FALSE(between(at::tensor({infinite}), at::tensor({1.0})).passed());
  EXPECT_FALSE(between(at::tensor({-infinite}), at::tensor({infinite})).passed());
  EXPECT_TRUE(between(at::tensor({infinite}), at::tensor({infinite})).passed());
  EXPECT_TRUE(between(at::tensor({1.0}), at::tensor({nan})).passed());
}

class golden_runner : public testing::Test {
 protected:
  struct outcome {
    std::vector<std::string> lines;
    int status = -1;
  };

  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  void manifest(const std::string& cases) {
    std::ofstream(folder_ / "manifest.json") << R"({"cases": [)" << cases << "]}";
  }

  /// A case of the random numbers of seed 7; what it expects lies in `file`.
  static std::string rng_case(const std::string& name, const std::string& file) {
    return R"({"name": ")" + name + R"(", "kind": "rng", "params": {"seeds": [7]}, )" +
           R"("expected": {"randn_7": {"atol": 1e-6, "rtol": 1e-6, "mean": NaN}}, )" +
           R"("files": {"expected": ")" + file + R"("}})";
  }

  void record(const std::string& file, const at::Tensor& value) {
    ASSERT_TRUE(engine::save_safetensors(folder_ / file, {{"randn_7", value}}));
  }

  static at::Tensor right_numbers() {
    auto generator = engine::seeded_generator(7);
    return engine::seeded_randn({4, 5}, generator);
  }

  outcome run(const std::string& arguments) {
    const std::string command = std::string(LP_BINARY_DIR) + "/bin/lp-goldens " + arguments;
    std::FILE* pipe = ::popen(command.c_str(), "r");
    std::string text;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
    outcome out;
    out.status = WEXITSTATUS(::pclose(pipe));
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      out.lines.push_back(text.substr(at, end - at));
      at = end + 1;
    }
    return out;
  }

  fs::path folder_ = fs::path(testing::TempDir()) / ("goldens_" + random_hex(6));
};

TEST_F(golden_runner, passes_what_is_right_and_leaves_unknown_kinds_to_do) {
  record("right.safetensors", right_numbers());
  manifest(rng_case("numbers", "right.safetensors") + R"(, {"name": "later", "kind": "smell"})");
  const auto got = run(folder_.string());
  EXPECT_THAT(got.lines, ElementsAre("PASS numbers", "TODO later", "1 passed, 0 failed, 1 todo"));
  EXPECT_EQ(got.status, 0);
}

TEST_F(golden_runner, fails_what_differs_by_more_than_the_tolerance) {
  auto wrong = right_numbers();
  wrong[2][3] += 1e-3;
  record("value.safetensors", wrong);
  manifest(rng_case("value", "value.safetensors"));
  const auto got = run(folder_.string());
  ASSERT_EQ(got.lines.size(), 2U);
  EXPECT_THAT(got.lines[0], MatchesRegex("FAIL value worst=0\\.001 \\(randn_7 \\[2, 3\\].*\\)"));
  EXPECT_EQ(got.lines[1], "0 passed, 1 failed, 0 todo");
  EXPECT_EQ(got.status, 1);
}

TEST_F(golden_runner, broken_cases_fail_with_the_reason_and_the_rest_goes_on) {
  record("right.safetensors", right_numbers());
  std::ofstream(folder_ / "torn.safetensors") << "torn";
  manifest(rng_case("absent", "absent.safetensors") + "," + rng_case("torn", "torn.safetensors") +
           R"(, {"name": "empty", "kind": "unet"}, {"kind": "rng"}, 7, )" +
           rng_case("numbers", "right.safetensors"));
  const auto got = run(folder_.string());
  ASSERT_EQ(got.lines.size(), 7U);
  EXPECT_THAT(got.lines[0], StartsWith("FAIL absent worst=inf ("));
  EXPECT_THAT(got.lines[0], HasSubstr("absent.safetensors"));
  EXPECT_THAT(got.lines[1], StartsWith("FAIL torn worst=inf ("));
  EXPECT_THAT(got.lines[2], StartsWith("FAIL empty worst=inf ("));
  EXPECT_THAT(got.lines[3], HasSubstr("without a name"));
  EXPECT_THAT(got.lines[4], HasSubstr("without a name"));
  EXPECT_EQ(got.lines[5], "PASS numbers");
  EXPECT_EQ(got.lines[6], "1 passed, 5 failed, 0 todo");
  EXPECT_EQ(got.status, 1);
}

TEST_F(golden_runner, a_folder_without_a_manifest_is_a_failure) {
  EXPECT_EQ(run(folder_.string()).status, 1);
  std::ofstream(folder_ / "manifest.json") << "[]";
  const auto got = run(folder_.string());
  EXPECT_THAT(got.lines, ElementsAre(StartsWith("FAIL "), "0 passed, 1 failed, 0 todo"));
  EXPECT_EQ(run("2>&1").status, 2) << "no folder at all";
}

}  // namespace
}  // namespace lp::goldens
