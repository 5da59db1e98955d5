// SPDX-License-Identifier: MIT
#include "pipelines/engine/clip_tokenizer.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipelines/engine/clip_text.hpp"
#include "pipelines/engine/json_file.hpp"
#include "runtime/base/bytes.hpp"

namespace lp::engine {
namespace {

namespace fs = std::filesystem;
using ids = std::vector<std::int64_t>;
using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::string> captions = {
    "a red circle on a blue background", "a small green square on a white background",
    "a large red star on a yellow background", "a blue circle and a red square"};

class clip_tokenizer_test : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(train_clip_tokenizer(captions, 60, 16, folder_)); }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary | std::ios::trunc) << text;
  }
  std::string read(const std::string& name) { return *read_text_file(folder_ / name); }
  std::string refusal() {
    const auto tokenizer = clip_tokenizer::open(folder_);
    return tokenizer ? "" : tokenizer.error().message;
  }

  fs::path folder_ = fs::path(testing::TempDir()) / ("clip_tokenizer_" + random_hex(6));
};

TEST(clip_text, words_follow_the_pattern) {
  EXPECT_THAT(clip_words("don't stop 42x!!! it''s"),
              ElementsAre("don", "'t", "stop", "4", "2", "x", "!!!", "it", "''", "s"));
  EXPECT_THAT(clip_words("\xC3\xA9t\xC3\xA9 \xE2\x85\xA7\xC2\xBD"),
              ElementsAre("\xC3\xA9t\xC3\xA9", "\xE2\x85\xA7", "\xC2\xBD"));
  EXPECT_THAT(clip_words(""), ElementsAre());
}

TEST(clip_text, normal_form_is_composed_lower_case_with_single_spaces) {
  EXPECT_EQ(clip_normalize("A\t\r\n\xC2\xA0 B\xE2\x80\x83"), "a b ");
  EXPECT_EQ(clip_normalize("E\xCC\x81"), "\xC3\xA9");
  EXPECT_EQ(clip_normalize("\xC4\xB0"), "i\xCC\x87");
  EXPECT_EQ(clip_normalize("a\xFF"), "a\xEF\xBF\xBD");
}

TEST_F(clip_tokenizer_test, a_learnt_vocabulary_makes_its_words_single_tokens) {
  const auto tokenizer = clip_tokenizer::open(folder_);
  ASSERT_TRUE(tokenizer) << render(tokenizer.error());
  EXPECT_EQ(tokenizer->max_length(), 16U);
  const ids words = tokenizer->encode_raw("A  RED circle on background");
  ASSERT_EQ(words.size(), 5U);
  for (const auto word : words) EXPECT_LT(word, tokenizer->bos());
  EXPECT_EQ(tokenizer->eos(), tokenizer->bos() + 1);
  EXPECT_EQ(static_cast<std::size_t>(tokenizer->eos()) + 1, tokenizer->vocab_size());
  EXPECT_GT(tokenizer->encode_raw("zebra").size(), 1U);
}

TEST_F(clip_tokenizer_test, learning_is_repeatable) {
  const std::string vocab = read("vocab.json");
  const std::string merges = read("merges.txt");
  ASSERT_TRUE(train_clip_tokenizer(captions, 60, 16, folder_));
  EXPECT_EQ(read("vocab.json"), vocab);
  EXPECT_EQ(read("merges.txt"), merges);
  EXPECT_FALSE(train_clip_tokenizer(captions, 60, 2, folder_));
  EXPECT_FALSE(train_clip_tokenizer(captions, 60, 16, "/dev/null/folder"));
}

TEST_F(clip_tokenizer_test, encode_adds_ends_cuts_and_pads) {
  const auto tokenizer = clip_tokenizer::open(folder_);
  ASSERT_TRUE(tokenizer);
  ids expected = tokenizer->encode_raw("a red circle");
  expected.insert(expected.begin(), tokenizer->bos());
  expected.resize(16, tokenizer->eos());
  EXPECT_EQ(tokenizer->encode("a red circle"), expected);

  const ids cut = tokenizer->encode(std::string(100, 'q'));
  ASSERT_EQ(cut.size(), 16U);
  EXPECT_EQ(cut.front(), tokenizer->bos());
  EXPECT_EQ(cut[14], cut[1]);
  EXPECT_EQ(cut.back(), tokenizer->eos());
}

TEST_F(clip_tokenizer_test, special_tokens_in_the_text_are_found) {
  const auto tokenizer = clip_tokenizer::open(folder_);
  ASSERT_TRUE(tokenizer);
  const ids red = tokenizer->encode_raw("red");
  EXPECT_EQ(tokenizer->encode_raw("red<|endoftext|>red <|startoftext|>"),
            (ids{red[0], tokenizer->eos(), red[0], tokenizer->bos()}));
}

TEST_F(clip_tokenizer_test, the_special_tokens_map_wins_over_the_configuration) {
  write("special_tokens_map.json", R"({"pad_token": {"content": "!"}})");
  EXPECT_EQ(clip_tokenizer::open(folder_)->pad(), 0);
  // A pad token is special, so that it is cut out of words too.
  EXPECT_EQ(clip_tokenizer::open(folder_)->encode_raw("!!"), (ids{0, 0}));
  fs::remove(folder_ / "special_tokens_map.json");
  fs::remove(folder_ / "tokenizer_config.json");
  const auto plain = clip_tokenizer::open(folder_);
  ASSERT_TRUE(plain) << render(plain.error());
  EXPECT_EQ(plain->pad(), plain->eos());
  EXPECT_EQ(plain->max_length(), 77U);
}

TEST_F(clip_tokenizer_test, broken_folders_are_clear_errors) {
  const std::string merges = read("merges.txt");
  for (const char* line : {"no such\n", "single\n", "b \n"}) {
    write("merges.txt", "#version: 0.2\n" + std::string(line));
    EXPECT_THAT(refusal(), HasSubstr("merges.txt:2:"));
  }
  write("merges.txt", merges);
  write("tokenizer_config.json", R"({"model_max_length": 2})");
  EXPECT_THAT(refusal(), HasSubstr("model_max_length"));
  write("tokenizer_config.json", R"({"bos_token": "<none>"})");
  write("special_tokens_map.json", "{}");
  EXPECT_THAT(refusal(), HasSubstr("<none>"));
  write("tokenizer_config.json", "{");
  EXPECT_THAT(refusal(), HasSubstr("tokenizer_config.json"));
  write("vocab.json", R"({"a": 0, "a": 1})");
  EXPECT_THAT(refusal(), HasSubstr("twice"));
  write("vocab.json", R"({"a": -1})");
  EXPECT_THAT(refusal(), HasSubstr("vocab.json"));
  fs::remove(folder_ / "vocab.json");
  EXPECT_THAT(refusal(), HasSubstr("vocab.json"));
}

TEST_F(clip_tokenizer_test, long_words_take_no_quadratic_time) {
  const auto tokenizer = clip_tokenizer::open(folder_);
  ASSERT_TRUE(tokenizer);
  // A quarter million merges in one word; quadratic work would run for hours.
  std::string word;
  for (int i = 0; i < 60'000; ++i) word += "redcircle";
  EXPECT_LT(tokenizer->encode_raw(word).size(), word.size());
}

}  // namespace
}  // namespace lp::engine
