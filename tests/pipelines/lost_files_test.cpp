// SPDX-License-Identifier: MIT
#include "pipelines/weights/lost_files.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pipelines/weights/mapped_file.hpp"
#include "runtime/base/bytes.hpp"

namespace lp::pipelines {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class lost_files_test : public ::testing::Test {
 protected:
  lost_files_test() {
    fs::create_directories(folder_ / "unet");
    std::ofstream(file_, std::ios::binary) << std::string(bytes, 'x');
  }
  ~lost_files_test() override { fs::remove_all(folder_); }

  static constexpr std::size_t bytes = 5 * 4096 + 100;
  const fs::path folder_ = fs::temp_directory_path() / ("lp_lost_" + random_hex(8));
  const fs::path file_ = folder_ / "unet" / "weights.safetensors";
};

TEST_F(lost_files_test, a_file_that_was_cut_short_is_told_and_reads_as_zeros) {
  const auto file = mapped_file::open(file_, false).value();
  const auto before = lost_files();
  EXPECT_EQ(file->all().back(), 'x');
  ASSERT_EQ(::truncate(file_.c_str(), 4096), 0);
  EXPECT_TRUE(none_lost_since(before)) << "nobody has looked yet";
  std::vector<std::thread> readers;
  for (int i = 0; i < 8; ++i) {
    readers.emplace_back([&] { EXPECT_EQ(file->all()[bytes - 200], '\0'); });
  }
  for (auto& reader : readers) reader.join();
  EXPECT_TRUE(std::all_of(file->all().begin(), file->all().end(), [](char c) { return c == 0; }));
  file->data()[bytes - 1] = 'y';
  const auto told = none_lost_since(before);
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code, ec::load_failed);
  EXPECT_THAT(told.error().message, HasSubstr("unet/weights.safetensors can no longer be read"));
  EXPECT_THAT(told.error().message, Not(HasSubstr(folder_.string())));
  EXPECT_TRUE(none_lost_since(lost_files()));
}

TEST_F(lost_files_test, files_that_are_replaced_or_removed_stay_as_they_were) {
  const auto file = mapped_file::open(file_, false).value();
  const auto before = lost_files();
  std::ofstream(folder_ / "new") << "short";
  fs::rename(folder_ / "new", file_);
  fs::remove(file_);
  EXPECT_EQ(file->all().back(), 'x');
  EXPECT_EQ(lost_files(), before);
}

TEST_F(lost_files_test, each_of_many_files_is_told_once_its_watch_was_used_again) {
  for (int i = 0; i < 3; ++i) {
    std::ofstream(file_, std::ios::binary) << std::string(bytes, 'x');
    const auto file = mapped_file::open(file_, false).value();
    const auto before = lost_files();
    ASSERT_EQ(::truncate(file_.c_str(), 0), 0);
    EXPECT_EQ(file->all().front(), '\0');
    EXPECT_FALSE(none_lost_since(before));
  }
}

// What nobody watches ends the process as it always did, and so does a signal that was sent.
TEST_F(lost_files_test, other_bus_errors_end_the_process) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(
      {
        const auto watched = mapped_file::open(file_, false).value();
        std::ofstream(folder_ / "other", std::ios::binary) << std::string(bytes, 'x');
        const int fd = ::open((folder_ / "other").c_str(), O_RDONLY);
        auto* const at = static_cast<char*>(::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0));
        (void)::truncate((folder_ / "other").c_str(), 0);
        std::exit(at[bytes - 200]);
      },
      ::testing::KilledBySignal(SIGBUS), "");
  EXPECT_EXIT(
      {
        const auto watched = mapped_file::open(file_, false).value();
        ::raise(SIGBUS);
        std::exit(0);
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace lp::pipelines
