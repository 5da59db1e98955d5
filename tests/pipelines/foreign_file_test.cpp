// SPDX-License-Identifier: MIT
// Files that are not what their names say, and whether files are still the same.
#include "pipelines/weights/foreign_file.hpp"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "pipelines/model_index.hpp"
#include "pipelines/weights/model_stamp.hpp"
#include "pipelines/weights/part_weights.hpp"
#include "pipelines/weights/tensor_names.hpp"
#include "runtime/base/redact.hpp"

namespace lp::pipelines {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const std::string pointer =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    "size 12345\n";
const std::string page = "\n <!DOCTYPE html>\n<html><body>Sign in</body></html>";

fs::path written(const std::string& name, const std::string& text) {
  const auto folder = fs::path(testing::TempDir()) / "lp_foreign_files";
  fs::create_directories(folder);
  std::ofstream(folder / name, std::ios::binary) << text;
  return folder / name;
}

TEST(foreign_file, every_reader_says_what_a_file_is_in_truth) {
  for (const auto& [text, told] :
       {std::pair<std::string, std::string>{pointer, "a Git LFS pointer, not the file itself"},
        {page, "a web page (HTML), not the file itself"},
        {"<?xml version=\"1.0\"?><Error/>", "an XML document, not the file itself"},
        {"", "an empty file"},
        {std::string(4096, '\0'), "a download that was not finished"}}) {
    for (const auto* name : {"model.safetensors", "model.ckpt", "model.bin"}) {
      const auto names = read_tensor_names(written(name, text));
      ASSERT_FALSE(names) << name;
      EXPECT_EQ(names.error().code, ec::bad_file);
      EXPECT_THAT(names.error().message, HasSubstr(told));
      EXPECT_THAT(names.error().message, HasSubstr(name));
    }
    const auto index = read_shards(written("model.safetensors.index.json", text));
    ASSERT_FALSE(index);
    EXPECT_THAT(index.error().message, HasSubstr(told));
    const auto model = model_class(written(model_index_name, text).parent_path());
    ASSERT_FALSE(model);
    EXPECT_THAT(model.error().message, HasSubstr(told));
  }
}

TEST(foreign_file, downloads_that_were_not_finished_are_known_by_their_names) {
  const auto file = written("model.safetensors.incomplete", "half of it");
  EXPECT_EQ(what_it_is(file), "a download that was not finished");
  EXPECT_EQ(unfinished_in(file.parent_path()), "model.safetensors.incomplete");
  fs::remove(file);
  EXPECT_EQ(what_it_is(std::string_view("{\"a\": 1}")), "");
  EXPECT_EQ(what_it_is(std::string_view("#version: 0.2\n")), "");
}

TEST(model_stamp, tells_files_that_were_replaced_from_those_that_are_away) {
  const auto model = fs::path(testing::TempDir()) / "lp_stamped";
  fs::remove_all(model);
  fs::create_directories(model / "unet");
  fs::create_directories(model / "loras");
  const auto weights = model / "unet" / "model.safetensors";
  const auto write = [](const fs::path& file, const std::string& text) {
    std::ofstream(file) << text;
  };
  write(weights, "1234");
  const auto stamp = model_stamp::of(model);
  EXPECT_FALSE(stamp.is_outdated());
  EXPECT_EQ(stamp.text(), model_stamp::of(model).text());
  write(model / "loras" / "style.safetensors", "x");
  EXPECT_FALSE(stamp.is_outdated());
  // Another file of the same size and time.
  write(model / "new", "4321");
  fs::last_write_time(model / "new", fs::last_write_time(weights));
  fs::rename(model / "new", weights);
  EXPECT_TRUE(stamp.is_outdated());
  const auto again = model_stamp::of(model);
  EXPECT_NE(stamp.text(), again.text());
  write(model / "lp_model.json", "{}");
  EXPECT_TRUE(again.is_outdated());
  fs::remove_all(model);
  EXPECT_FALSE(again.is_outdated());
  EXPECT_FALSE(model_stamp::of({}).is_outdated());
}

TEST(redact, paths_are_cut_short_and_all_else_stays) {
  const auto folder = fs::path(testing::TempDir()) / "lp with spaces" / "my models";
  fs::create_directories(folder);
  const auto spaced = (folder / "config.json").string();
  for (const auto& [text, told] :
       {std::pair<std::string, std::string>{"/srv/models/sd15/unet/config.json: not valid JSON",
                                            "unet/config.json: not valid JSON"},
        {"cannot load sd15: /srv/a/b/unet: no weights", "cannot load sd15: b/unet: no weights"},
        {"/srv/x.safetensors: cannot open: No such file",
         "x.safetensors: cannot open: No such file"},
        {"the file \"/etc/lp/token\" (in /etc/lp) is empty", "the file \"token\" (in lp) is empty"},
        {"see /text-to-image, http://host/a/b and 3/4 of image/png",
         "see /text-to-image, http://host/a/b and 3/4 of image/png"},
        {"loras: \"owner/style\": expected / or more",
         "loras: \"owner/style\": expected / or more"},
        {spaced + ": is missing", "my models/config.json: is missing"},
        {"/", "/"},
        {"", ""}}) {
    EXPECT_EQ(without_paths(std::string_view(text)), told);
    EXPECT_EQ(without_paths(std::string_view(told)), told);
  }
  const auto e = without_paths(error{
      ec::invalid_parameters, "/a/b/c: x", {{{"body", "loras"}, "/a/b/c: x", "value_error"}}});
  EXPECT_EQ(e.message, "c: x");
  EXPECT_EQ(e.fields[0].msg, "c: x");
}

}  // namespace
}  // namespace lp::pipelines
