// SPDX-License-Identifier: MIT
#include "pipelines/engine/pickled_tensors.hpp"

#include <filesystem>

#include <ATen/ATen.h>
#include <caffe2/serialize/inline_container.h>
#include <gtest/gtest.h>

#include "tests/engine/saved_tensors.hpp"

namespace lp::engine {
namespace {

namespace fs = std::filesystem;

const fs::path scratch = fs::path(::testing::TempDir()) / "lp_pickled.pth";

void expect_same(const stored_tensors& read,
                 const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  ASSERT_EQ(read.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    ASSERT_TRUE(read.contains(name)) << name;
    EXPECT_TRUE(at::equal(read.at(name).load().value(), tensor)) << name;
  }
}

TEST(pickled_tensors, read_what_pytorch_itself_archives) {
  const std::vector<std::pair<std::string, at::Tensor>> tensors = {
      {"a.weight", at::randn({3, 5})}, {"b", at::randn({2, 3, 1, 2})}, {"scalar", at::randn({})}};
  {
    caffe2::serialize::PyTorchStreamWriter archive(scratch.string());
    const auto form = saved(tensors);
    for (std::size_t i = 0; i < form.size(); ++i)
      archive.writeRecord("data/" + std::to_string(i), form[i].bytes.data(), form[i].bytes.size());
    const auto code = test::pickle_of(form);
    archive.writeRecord("data.pkl", code.data(), code.size());
    archive.writeEndOfFile();
  }
  const auto read = open_pickle(scratch, true);
  ASSERT_TRUE(read) << read.error().message;
  expect_same(*read, tensors);
}

TEST(pickled_tensors, truths_are_any_byte_but_zero) {
  test::write_torch_archive(scratch, {{"b", "BoolStorage", {4}, std::string("\0\1\2\xff", 4)},
                                      {"n", "ByteStorage", {2}, std::string("\0\2", 2)}});
  const auto read = open_pickle(scratch, false);
  ASSERT_TRUE(read) << read.error().message;
  expect_same(*read, {{"b", at::tensor({0, 1, 1, 1}).to(at::kBool)},
                      {"n", at::tensor({0, 2}).to(at::kByte)}});
}

TEST(pickled_tensors, may_lie_at_any_byte) {
  const std::vector<std::pair<std::string, at::Tensor>> tensors = {
      {"a", at::randn({7})}, {"bb", at::randn({2, 3})}, {"ccc", at::randn({1, 1})}};
  const auto form = saved(tensors);
  for (std::size_t shift = 0; shift < 4; ++shift) {
    std::vector<std::pair<std::string, std::string>> entries = {
        {"x/" + std::string(shift, 'y'), ""}, {"x/data.pkl", test::pickle_of(form)}};
    for (std::size_t i = 0; i < form.size(); ++i)
      entries.emplace_back("x/data/" + std::to_string(i), form[i].bytes);
    test::write_zip(scratch, entries);
    const auto read = open_pickle(scratch, false);
    ASSERT_TRUE(read) << read.error().message;
    expect_same(*read, tensors);
  }
}

TEST(pickled_tensors, hold_what_the_converted_file_holds) {
  const auto folder = fs::path(LP_SOURCE_DIR).parent_path() / "shared" / "weights" / "dit-mnist";
  if (!fs::exists(folder)) GTEST_SKIP() << "no ../shared";
  const auto archive = open_pickle(folder / "model-40000.pth", false);
  ASSERT_TRUE(archive) << archive.error().message;
  std::vector<std::pair<std::string, at::Tensor>> converted;
  const auto stored_ones = open_tensors(folder / "model.safetensors").value();
  for (const auto& [name, stored] : stored_ones)
    converted.emplace_back(name, stored.load().value());
  expect_same(*archive, converted);
}

}  // namespace
}  // namespace lp::engine
