// SPDX-License-Identifier: MIT
#include "runtime/base/files.hpp"

#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "tests/payments/parties.hpp"

namespace lp {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

unsigned mode(const fs::path& path) {
  struct stat s {};
  return ::stat(path.c_str(), &s) == 0 ? s.st_mode & 07777U : 0;
}

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {}));
}

struct files : testing::Test {
  payments::testing::scratch_folder folder;
};

TEST_F(files, are_replaced_whole_with_their_mode_and_through_links) {
  const fs::path file = folder / "file";
  ASSERT_TRUE(write_file(file, "one"));
  EXPECT_EQ(read(file), "one");
  ::chmod(file.c_str(), 0640);
  fs::create_symlink(file, folder / "link");
  ASSERT_TRUE(write_file(folder / "link", "two"));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read(file), "two");
  EXPECT_EQ(mode(file), 0640U);
  ASSERT_TRUE(write_file(file, "three", file_access::owner));
  EXPECT_EQ(mode(file), 0600U);
  EXPECT_EQ(entries(folder / "."), 2U) << "something is left of writing";
  ASSERT_TRUE(write_file("/dev/null", "x"));
}

TEST_F(files, a_reader_never_meets_half_of_one) {
  const fs::path file = folder / "file";
  const std::string a(300'000, 'a');
  const std::string b(200'000, 'b');
  ASSERT_TRUE(write_file(file, a));
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 0; i < 20; ++i) (void)write_file(file, i % 2 == 0 ? b : a);
    done = true;
  });
  bool whole = true;
  while (!done) {
    const std::string now = read(file);
    whole = whole && (now == a || now == b);
  }
  writer.join();
  EXPECT_TRUE(whole);
}

TEST_F(files, of_many_makers_one_makes_it) {
  std::atomic<int> made{0};
  std::vector<std::thread> makers;
  for (int i = 0; i < 8; ++i) {
    makers.emplace_back([&, i] {
      const auto done = create_file(folder / "new", std::string(1000, char('a' + i)));
      if (done && *done) ++made;
      EXPECT_EQ(read(folder / "new").size(), 1000U);
    });
  }
  for (std::thread& t : makers) t.join();
  EXPECT_EQ(made, 1);
  EXPECT_EQ(entries(folder / "."), 1U);
}

TEST_F(files, a_failure_names_the_file_and_leaves_the_old_one) {
  const auto missing = write_file(folder / "no" / "file", "x");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message,
            (folder / "no" / "file").string() + ": No such file or directory");
  EXPECT_FALSE(write_file(folder / ".", "x"));
  EXPECT_TRUE(write_file(folder / std::string(255, 'n').c_str(), "x"));
  EXPECT_FALSE(write_file(folder / std::string(256, 'n').c_str(), "x"));
  EXPECT_EQ(entries(folder / "."), 1U);
}

TEST_F(files, folders_that_are_made_are_private_and_others_stay_as_they_are) {
  ::chmod((folder / ".").c_str(), 0755);
  ASSERT_TRUE(make_private_folder(folder / "a" / "b"));
  ASSERT_TRUE(make_private_folder(folder / "a" / "b"));
  EXPECT_EQ(mode(folder / "."), 0755U);
  EXPECT_EQ(mode(folder / "a"), 0700U);
  EXPECT_EQ(mode(folder / "a" / "b"), 0700U);
  ASSERT_TRUE(write_file(folder / "file", "x"));
  EXPECT_FALSE(make_private_folder(folder / "file"));
  EXPECT_FALSE(make_private_folder(folder / "file" / "a"));
}

TEST_F(files, below_is_decided_behind_links) {
  ASSERT_TRUE(make_private_folder(folder / "data"));
  ASSERT_TRUE(make_private_folder(folder / "elsewhere"));
  fs::create_directory_symlink(folder / "elsewhere", folder / "data" / "link");
  EXPECT_TRUE(lies_below(folder / "data" / "new" / "pass", folder / "data"));
  EXPECT_TRUE(lies_below(folder / "data" / "pass", folder / "data" / ""));
  EXPECT_FALSE(lies_below(folder / "data", folder / "data"));
  EXPECT_FALSE(lies_below(folder / "data2" / "pass", folder / "data"));
  EXPECT_FALSE(lies_below(folder / "data" / ".." / "pass", folder / "data"));
  EXPECT_FALSE(lies_below(folder / "data" / "link" / "pass", folder / "data"));
}

}  // namespace
}  // namespace lp
