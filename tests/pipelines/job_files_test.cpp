// SPDX-License-Identifier: MIT
// What a request says of its files, held against the files.
#include "pipelines/job_files.hpp"

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <boost/json/parse.hpp>

namespace lp::pipelines {
namespace {

namespace json = boost::json;

const description& from_image() {
  return *find("image-to-image");
}

job_input input_of(const std::string& file) {
  const given_file given{"image", file};
  job_input input;
  input.params = *validate(from_image(), json::object{{"prompt", "a dog"}}, {&given, 1});
  input.attachments.push_back({"image", "image/png", share(file)});
  return input;
}

std::string small_png() {
  std::ifstream in(LP_SOURCE_DIR "/tests/data/images/rgb.png", std::ios::binary);  // 48 x 32
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string says(const result<void>& r) {
  return r ? "fine" : r.error().message;
}

TEST(job_files, are_those_that_the_parameters_speak_of) {
  job_input input = input_of(small_png());
  EXPECT_EQ(says(check_files(from_image(), input)), "fine");

  job_input missing = input;
  missing.attachments.clear();
  EXPECT_EQ(says(check_files(from_image(), missing)), "image: there should be 1 such file, not 0");
  job_input twice = input;
  twice.attachments.push_back(twice.attachments.front());
  EXPECT_EQ(says(check_files(from_image(), twice)), "image: there should be 1 such file, not 2");
  job_input unsaid = input;
  unsaid.attachments.push_back({"mask_image", "image/png", share(small_png())});
  EXPECT_EQ(says(check_files(from_image(), unsaid)),
            "mask_image: there should be 0 such file, not 1");
  job_input unknown = input;
  unknown.attachments.push_back({"prompt", "image/png", share(small_png())});
  EXPECT_EQ(says(check_files(from_image(), unknown)), "prompt: there is no such file parameter");
}

TEST(job_files, have_the_length_that_was_said) {
  job_input input = input_of(small_png());
  input.params["image"].get_object()["bytes"] = 12;
  const auto bad = check_files(from_image(), input);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message, "image: the file has 129 bytes, the request says 12");
  EXPECT_EQ(bad.error().code, ec::invalid_parameters);
  ASSERT_EQ(bad.error().fields.size(), 1U);
  EXPECT_EQ(bad.error().fields[0].loc.back(), "image");
}

TEST(job_files, a_picture_has_the_sides_that_were_said) {
  const job_input input = input_of(small_png());
  picture p{"image", 48, 32, 3, nullptr};
  EXPECT_EQ(says(check_sides(p, input.params)), "fine");
  p.width = 4800;
  EXPECT_EQ(says(check_sides(p, input.params)),
            "image: the picture has 4800x32 pixels, the request says 48x32");
  p.field = "mask_image";
  EXPECT_NE(says(check_sides(p, input.params)), "fine");
}

TEST(validate_without_files, takes_what_validate_made) {
  const job_input input = input_of(small_png());
  const auto again = validate_without_files(from_image(), input.params);
  ASSERT_TRUE(again) << render(again.error());
  EXPECT_EQ(*again, input.params);
}

TEST(validate_without_files, judges_what_is_said_of_a_file) {
  const job_input input = input_of(small_png());
  const auto with = [&](const char* facts) {
    json::object params = input.params;
    params["image"] = json::parse(facts);
    const auto out = validate_without_files(from_image(), params);
    return out ? std::string("fine") : out.error().fields.at(0).type;
  };
  const char* good = R"({"format": "image/png", "width": 8, "height": 9, "bytes": 77})";
  EXPECT_EQ(with(good), "fine");
  const std::pair<const char*, const char*> wrong[] = {
      {R"("a.png")", "file_facts"},
      {R"({})", "file_facts"},
      {R"({"format": "image/png", "width": 8, "height": 9})", "file_facts"},
      {R"({"format": "image/png", "width": 8, "bytes": 77})", "file_facts"},
      {R"({"format": 1, "width": 8, "height": 9, "bytes": 77})", "file_facts"},
      {R"({"format": "image/png", "width": -8, "height": 9, "bytes": 77})", "file_facts"},
      {R"({"format": "image/png", "width": 8.5, "height": 9, "bytes": 77})", "file_facts"},
      {R"({"format": "image/png", "width": 4294967304, "height": 9, "bytes": 77})", "file_facts"},
      {R"({"format": "image/png", "width": 8, "height": 9, "bytes": -1})", "file_facts"},
      {R"({"format": "image/png", "width": 8000, "height": 8000, "bytes": 77})", "image_size"},
      {R"({"format": "image/png", "width": 0, "height": 9, "bytes": 77})", "image_size"}};
  for (const auto& [facts, type] : wrong) EXPECT_EQ(with(facts), type) << facts;
  json::object none = input.params;
  none.erase("image");
  EXPECT_EQ(validate_without_files(from_image(), none).error().fields.at(0).type, "missing");
}

}  // namespace
}  // namespace lp::pipelines
