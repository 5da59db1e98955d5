// SPDX-License-Identifier: MIT
#include "pipelines/engine/safetensors.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/bytes.hpp"

namespace lp::engine {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class safetensors_test : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& header, const std::string& data, std::uint64_t length) {
    const fs::path path = folder_ / "file.safetensors";
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    for (int i = 0; i < 8; ++i) out.put(static_cast<char>(length >> (8 * i) & 0xFF));
    out << header << data;
    return path;
  }
  fs::path write(const std::string& header, const std::string& data) {
    return write(header, data, header.size());
  }

  /// The message of a file that must be refused, or "" if it was taken.
  std::string refusal(const fs::path& path) {
    const auto file = safetensors_file::open(path);
    if (file) return "";
    EXPECT_EQ(file.error().code, ec::bad_file);
    EXPECT_THAT(file.error().message, HasSubstr(path.string()));
    return file.error().message;
  }

  fs::path folder_ = fs::path(testing::TempDir()) / ("safetensors_" + random_hex(6));
};

const std::string two_floats = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";

TEST_F(safetensors_test, reads_back_what_it_wrote) {
  const auto half = at::randn({3, 5}).to(at::kHalf);
  const auto wide = at::arange(7, at::kLong);
  const auto slice = at::randn({4, 6}).t();  // not contiguous
  const auto flags = at::randn({9}).gt(0);
  const std::map<std::string, std::string> notes = {{"format", "pt"}, {"quote", "\"\\\xC3\xBC"}};
  const fs::path path = folder_ / "model.safetensors";
  const std::vector<std::pair<std::string, at::Tensor>> all = {
      {"half", half},
      {"wide", wide},
      {"slice", slice},
      {"name with spaces / \xC3\xA9", flags},
      {"scalar", at::scalar_tensor(2.5, at::kBFloat16)},
      {"none", at::empty({0, 4})}};
  ASSERT_TRUE(save_safetensors(path, all, notes));

  const auto file = safetensors_file::open(path);
  ASSERT_TRUE(file) << render(file.error());
  EXPECT_EQ((*file)->metadata(), notes);
  EXPECT_EQ((*file)->tensors().size(), all.size());
  for (const auto& [name, tensor] : all) {
    const auto loaded = (*file)->load(name);
    ASSERT_TRUE(loaded) << render(loaded.error());
    EXPECT_EQ(loaded->scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(loaded->equal(tensor)) << name;
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "no temporary file stays";
}

TEST_F(safetensors_test, writing_replaces_a_file_that_is_still_mapped) {
  const fs::path path = folder_ / "model.safetensors";
  ASSERT_TRUE(save_safetensors(path, {{"a", at::ones({4})}}));
  const auto before = safetensors_file::open(path);
  ASSERT_TRUE(before);
  ASSERT_TRUE(save_safetensors(path, {{"a", at::zeros({4})}}));
  EXPECT_TRUE((*before)->load("a")->equal(at::ones({4})));
  EXPECT_TRUE((*safetensors_file::open(path))->load("a")->equal(at::zeros({4})));
}

TEST_F(safetensors_test, refuses_to_write_what_the_format_cannot_hold) {
  const fs::path path = folder_ / "model.safetensors";
  const auto one = at::ones({1});
  EXPECT_FALSE(save_safetensors(path, {{"a", one}, {"a", one.to(at::kHalf)}}));
  EXPECT_FALSE(save_safetensors(path, {{"\xFF", one}}));
  EXPECT_FALSE(save_safetensors(path, {{"__metadata__", one}}));
  EXPECT_FALSE(save_safetensors(path, {{"a", one.to(at::kComplexDouble)}}));
  EXPECT_FALSE(save_safetensors(folder_ / "absent" / "x.safetensors", {{"a", one}}));
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(safetensors_test, tensors_lie_in_the_mapping_and_outlive_the_file_object) {
  const fs::path path = folder_ / "model.safetensors";
  ASSERT_TRUE(save_safetensors(path, {{"a", at::arange(1000, at::kFloat)}}));
  at::Tensor first;
  {
    const auto file = safetensors_file::open(path);
    ASSERT_TRUE(file);
    (*file)->read_ahead();
    first = *(*file)->load("a");
    EXPECT_EQ(first.data_ptr(), (*file)->load("a")->data_ptr()) << "no copy was made";
  }
  fs::remove(path);
  EXPECT_TRUE(first.equal(at::arange(1000, at::kFloat)));
}

TEST_F(safetensors_test, writing_to_a_tensor_leaves_the_file_alone) {
  const fs::path path = folder_ / "model.safetensors";
  ASSERT_TRUE(save_safetensors(path, {{"a", at::ones({4})}}));
  (*safetensors_file::open(path))->load("a")->fill_(7);
  EXPECT_TRUE((*safetensors_file::open(path))->load("a")->equal(at::ones({4})));
}

TEST_F(safetensors_test, copies_what_the_file_does_not_align) {
  const float values[] = {1.5F, -2.0F};
  const std::string data(reinterpret_cast<const char*>(values), sizeof values);
  for (std::size_t pad = 0; pad < 4; ++pad) {
    const auto file = safetensors_file::open(write(two_floats + std::string(pad, ' '), data));
    ASSERT_TRUE(file) << render(file.error());
    const auto loaded = (*file)->load("a");
    ASSERT_TRUE(loaded);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(loaded->data_ptr()) % alignof(float), 0U);
    EXPECT_TRUE(loaded->equal(at::tensor({1.5F, -2.0F})));
  }
}

TEST_F(safetensors_test, widens_types_that_libtorch_lacks) {
  const auto load = [&](const std::string& dtype, int count, const std::string& data) {
    const auto file = safetensors_file::open(
        write(R"({"a":{"dtype":")" + dtype + R"(","shape":[)" + std::to_string(count) +
                  R"(],"data_offsets":[0,)" + std::to_string(data.size()) + "]}}",
              data));
    return file ? (*file)->load("a") : fail(file.error());
  };
  // Values from the tables of the OCP 8-bit floating point specification.
  const auto e4m3 = load("F8_E4M3", 7, std::string("\x00\x01\x08\x38\x7E\xFE\x7F", 7));
  ASSERT_TRUE(e4m3) << render(e4m3.error());
  EXPECT_TRUE(
      e4m3->slice(0, 0, 6).equal(at::tensor({0.0F, 0x1p-9F, 0x1p-6F, 1.0F, 448.0F, -448.0F})));
  EXPECT_TRUE(e4m3->select(0, 6).isnan().item<bool>());
  const auto e5m2 = load("F8_E5M2", 6, std::string("\x01\x04\x3C\x7B\xFC\x7D", 6));
  ASSERT_TRUE(e5m2);
  EXPECT_TRUE(e5m2->slice(0, 0, 5).equal(
      at::tensor({0x1p-16F, 0x1p-14F, 1.0F, 57344.0F, -std::numeric_limits<float>::infinity()})));
  EXPECT_TRUE(e5m2->select(0, 5).isnan().item<bool>());
  EXPECT_EQ(load("U16", 1, "\xFF\xFF")->item<int>(), 65535);
  EXPECT_EQ(load("U32", 1, "\xFF\xFF\xFF\xFF")->item<std::int64_t>(), 4294967295);
  EXPECT_EQ(load("U64", 1, std::string("\x05\0\0\0\0\0\0\0", 8))->item<std::int64_t>(), 5);
  EXPECT_FALSE(load("U64", 1, std::string(8, '\xFF')));
  EXPECT_TRUE(
      load("BOOL", 3, std::string("\x00\x01\x02", 3))->equal(at::tensor({0, 1, 1}).to(at::kBool)));
}

TEST_F(safetensors_test, malformed_headers_are_clear_errors) {
  const std::string data(8, '\0');
  const auto entry = [](const std::string& dtype, const std::string& shape,
                        const std::string& offsets) {
    return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
           "}";
  };
  const auto one = [&](const std::string& text) { return write("{\"a\":" + text + "}", data); };
  ASSERT_EQ(refusal(write(two_floats, data)), "");

  EXPECT_THAT(refusal(folder_ / "absent"), HasSubstr("No such file"));
  EXPECT_THAT(refusal(folder_), HasSubstr("too few"));
  EXPECT_THAT(refusal(write(two_floats, data, std::uint64_t(-1))), HasSubstr("header of"));
  EXPECT_THAT(refusal(write(two_floats, data, 1000)), HasSubstr("expected at most"));
  EXPECT_THAT(refusal(write(two_floats, data + "x")), HasSubstr("9 bytes of data"));
  EXPECT_THAT(refusal(write(two_floats, "")), HasSubstr("0 bytes of data"));
  EXPECT_THAT(refusal(write(R"({"a":)", data)), HasSubstr("JSON"));
  EXPECT_THAT(refusal(write(two_floats + "x", data)), HasSubstr("JSON"));
  EXPECT_THAT(refusal(write("", "")), HasSubstr("JSON"));
  EXPECT_THAT(refusal(write("[1,2]", "")), HasSubstr("object"));
  EXPECT_THAT(refusal(write("{\"\xFF\":1}", data)), HasSubstr("JSON"));
  EXPECT_THAT(refusal(one(std::string(5000, '['))), HasSubstr("JSON"));
  EXPECT_THAT(refusal(one("7")), HasSubstr("expected an object"));
  EXPECT_THAT(refusal(one(entry("Q7", "[2]", "[0,8]"))), HasSubstr("Q7"));
  EXPECT_THAT(refusal(one(entry("F32", "[-2]", "[0,8]"))), HasSubstr("shape"));
  EXPECT_THAT(refusal(one(entry("F32", "[2.5]", "[0,8]"))), HasSubstr("shape"));
  EXPECT_THAT(refusal(one(entry("F32", "2", "[0,8]"))), HasSubstr("shape"));
  EXPECT_THAT(refusal(one(entry("F32", "[2]", "[8,0]"))), HasSubstr("data_offsets"));
  EXPECT_THAT(refusal(one(entry("F32", "[2]", "[0]"))), HasSubstr("data_offsets"));
  EXPECT_THAT(refusal(one(entry("F32", "[2]", "[0,1e300]"))), HasSubstr("data_offsets"));
  EXPECT_THAT(refusal(one(entry("F32", "[3]", "[0,8]"))), HasSubstr("12 bytes"));
  EXPECT_THAT(refusal(one(entry("F32", "[8589934592,8589934592]", "[0,8]"))),
              HasSubstr("too many"));
  EXPECT_THAT(refusal(one(entry("F32", "[0,4294967296,4294967296]", "[0,0]"))),
              HasSubstr("too many"));
  EXPECT_THAT(refusal(one(entry("F32", "[1]", "[4,8]"))), HasSubstr("hole"));
  const std::string two = "{\"a\":" + entry("F32", "[1]", "[0,4]") + ",\"b\":";
  EXPECT_THAT(refusal(write(two + entry("F32", "[1]", "[0,4]") + "}", data)), HasSubstr("overlap"));
  EXPECT_THAT(refusal(write("{\"a\":" + entry("F32", "[1]", "[0,4]") +
                                ",\"a\":" + entry("F32", "[1]", "[4,8]") + "}",
                            data)),
              HasSubstr("twice"));
  EXPECT_THAT(refusal(write(R"({"__metadata__":{"a":1}})", "")), HasSubstr("__metadata__"));
}

TEST_F(safetensors_test, every_cut_of_a_file_is_refused) {
  const fs::path path = folder_ / "model.safetensors";
  ASSERT_TRUE(save_safetensors(path, {{"a", at::ones({5})}, {"b", at::ones({3}, at::kHalf)}}));
  for (auto size = fs::file_size(path); size-- > 0;) {
    fs::resize_file(path, size);
    EXPECT_NE(refusal(path), "") << size;
  }
}

TEST_F(safetensors_test, an_unknown_name_is_an_error) {
  const auto file = safetensors_file::open(write(two_floats, std::string(8, '\0')));
  ASSERT_TRUE(file);
  EXPECT_THAT((*file)->load("b").error().message, HasSubstr("\"b\""));
}

}  // namespace
}  // namespace lp::engine
