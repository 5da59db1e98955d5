// SPDX-License-Identifier: MIT
#include "pipelines/engine/mapped_view.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "pipelines/engine/safetensors.hpp"
#include "runtime/base/bytes.hpp"

namespace lp::engine {
namespace {

/// Of this process, pages of files that are in memory for it.
std::int64_t file_bytes() {
  std::int64_t all = 0, resident = 0, of_files = 0;
  std::ifstream("/proc/self/statm") >> all >> resident >> of_files;
  return of_files * ::sysconf(_SC_PAGESIZE);
}

class mapped_view_test : public ::testing::Test {
 protected:
  mapped_view_test() {
    const auto saved = save_safetensors(
        file_,
        {{"a", at::ones({count})}, {"b", at::full({3}, 2.0)}, {"c", at::full({count}, 3.0)}});
    EXPECT_TRUE(saved);
  }
  ~mapped_view_test() override { std::filesystem::remove(file_); }

  static constexpr std::int64_t count = 8 << 20;
  static constexpr std::int64_t bytes = count * 4;
  const std::filesystem::path file_ =
      std::filesystem::temp_directory_path() / ("lp_view_" + random_hex(8) + ".safetensors");
};

TEST_F(mapped_view_test, its_pages_go_with_it) {
  const auto file = safetensors_file::open(file_).value();
  const auto before = file_bytes();
  auto a = file->load("a").value();
  auto c = file->load("c").value();
  EXPECT_EQ(a.sum().item<double>(), count);
  EXPECT_EQ(c.sum().item<double>(), 3 * count);
  EXPECT_GT(file_bytes() - before, 2 * bytes * 9 / 10);
  a.reset();
  EXPECT_LT(file_bytes() - before, bytes * 11 / 10);
  EXPECT_GT(file_bytes() - before, bytes * 9 / 10) << "the other tensor's pages stay";
  c = c.to(at::kDouble);
  EXPECT_LT(file_bytes() - before, bytes / 10);
  EXPECT_EQ(c.sum().item<double>(), 3 * count);
}

TEST_F(mapped_view_test, the_file_is_there_for_the_next_one) {
  const auto file = safetensors_file::open(file_).value();
  const auto kept = file->load("a").value();
  {
    auto changed = file->load("a").value();
    changed.fill_(7);
    EXPECT_EQ(kept[0].item<double>(), 7) << "both are the mapping's own pages";
  }
  // All but what lies in a page with a neighbour.
  EXPECT_EQ(kept[count / 2].item<double>(), 1);
  EXPECT_EQ(file->load("b").value().sum().item<double>(), 6);
  EXPECT_EQ(safetensors_file::open(file_).value()->load("a").value().sum().item<double>(), count);
}

}  // namespace
}  // namespace lp::engine
