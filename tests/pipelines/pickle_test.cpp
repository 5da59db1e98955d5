// SPDX-License-Identifier: MIT
// Pickles are read as data: what wants to be called is refused or dead, and nothing breaks.
#include "pipelines/weights/pickle.hpp"

#include <filesystem>
#include <fstream>
#include <random>

#include <gmock/gmock.h>

#include "pipelines/weights/pickle_archive.hpp"
#include "tests/support/torch_archive.hpp"

namespace lp::pipelines {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// {"w": a tensor of 2x3, "sub": {"b": ...}} in protocol 2, as torch.save() writes it.
std::string tensor_code(const std::string& key) {
  using namespace std::string_literals;
  return "ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU"s +
         static_cast<char>(key.size()) + key +
         "U\x03"
         "cpuK\x06tQK\x00K\x02K\x03\x86K\x03K\x01\x86\x89"
         "ccollections\nOrderedDict\n)RtR"s;
}

std::string error_of_pickle(const std::string& code) {
  const auto read = read_pickle(code);
  return read ? "" : read.error().message;
}

TEST(pickle, names_tensors_by_their_path) {
  using namespace std::string_literals;
  const auto read = read_pickle("\x80\x02}(U\x01w"s + tensor_code("0") + "U\x03sub}U\x01"s + "b" +
                                tensor_code("12") + "su."s);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ(read->at("w").shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(read->at("w").stride, (std::vector<std::int64_t>{3, 1}));
  EXPECT_EQ(read->at("sub.b").storage_key, "12");
  EXPECT_EQ(read->at("sub.b").storage_type, "FloatStorage");
}

TEST(pickle, takes_the_state_dict_for_the_whole) {
  using namespace std::string_literals;
  const auto read = read_pickle(
      "\x80\x02}(U\x05"
      "epochK\x07U\x0astate_dict}U\x01w"s +
      tensor_code("0") + "su."s);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->contains("w"));
}

TEST(pickle, refuses_what_would_run_something) {
  using namespace std::string_literals;
  for (const auto& [code, name] :
       {std::pair{"cos\nsystem\n(U\x04truetR."s, "os.system"},
        std::pair{"cposix\nsystem\n(U\x04truetR."s, "posix.system"},
        std::pair{"cbuiltins\neval\n(U\x01"
                  "1tR."s,
                  "builtins.eval"},
        std::pair{"\x80\x04\x8c\x0asubprocess\x8c\x05Popen\x93."s, "subprocess.Popen"}}) {
    EXPECT_THAT(error_of_pickle(code), HasSubstr(name));
  }
}

TEST(pickle, leaves_unknown_objects_dead) {
  using namespace std::string_literals;
  const auto read =
      read_pickle("\x80\x02}(U\x01xcmy.module\nThing\n)RU\x01w"s + tensor_code("0") + "u."s);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->size(), 1U);
}

TEST(pickle, survives_damage_of_every_kind) {
  using namespace std::string_literals;
  const auto good = "\x80\x02}(U\x01w"s + tensor_code("0") + "u."s;
  for (std::size_t n = 0; n < good.size(); ++n) EXPECT_NE(error_of_pickle(good.substr(0, n)), "");
  std::mt19937 dice(1);
  for (int i = 0; i < 20000; ++i) {
    auto code = good;
    for (int k = 0; k < 3; ++k) code[dice() % code.size()] = static_cast<char>(dice());
    read_pickle(code);  // whatever it says, it returns
  }
  EXPECT_NE(error_of_pickle(std::string(1'000'000, ']')), "");
  EXPECT_NE(error_of_pickle(std::string(1'000'000, '(')), "");
  std::string nested;
  for (int i = 0; i < 200'000; ++i) nested += "]\x85";
  EXPECT_NE(error_of_pickle(nested + "."), "");
  // A dictionary in itself, twice a level.
  EXPECT_NE(error_of_pickle("}q\x00(U\x01"
                            "ah\x00U\x01"
                            "bh\x00u."s),
            "");
}

TEST(pickle, the_list_of_entries_is_looked_for_at_the_end_alone) {
  const auto path = fs::path(::testing::TempDir()) / "lp_long.pth";
  test::write_torch_archive(path, {{"w", "FloatStorage", {1}, std::string(4, '\0')}});
  std::ofstream(path, std::ios::binary | std::ios::app) << std::string(65535, '\0');
  ASSERT_TRUE(open_pickle_archive(path, false));
  std::ofstream(path, std::ios::binary | std::ios::app) << '\0';
  EXPECT_FALSE(open_pickle_archive(path, false));
  fs::remove(path);
}

TEST(pickle, refuses_damaged_archives) {
  const auto path = fs::path(::testing::TempDir()) / "lp_broken.pth";
  for (const std::string& bytes : {std::string("PK\x05\x06 no archive"), std::string(22, '\0'),
                                   std::string("\x80\x02]."), std::string("x")}) {
    std::ofstream(path, std::ios::binary) << bytes;
    const auto opened = open_pickle_archive(path, false);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ec::bad_file);
    EXPECT_THAT(opened.error().message, HasSubstr("lp_broken.pth"));
  }
}

}  // namespace
}  // namespace lp::pipelines
