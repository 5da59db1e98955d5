// SPDX-License-Identifier: MIT
#include "pipelines/engine/prompt_weights.hpp"

#include <gmock/gmock.h>

namespace lp::engine {
namespace {

using ::testing::ElementsAre;

TEST(prompt_weights, cut_a_prompt_where_it_weighs_words) {
  EXPECT_THAT(
      parse_prompt_weights("a (red:1.4) circle"),
      ElementsAre(weighted_text{"a ", 1}, weighted_text{"red", 1.4}, weighted_text{" circle", 1}));
  EXPECT_THAT(parse_prompt_weights("(all of it: 0.5 )"),
              ElementsAre(weighted_text{"all of it", 0.5}));
}

TEST(prompt_weights, of_nested_words_multiply) {
  EXPECT_THAT(parse_prompt_weights("((x:2) y:1.5)"),
              ElementsAre(weighted_text{"x", 3}, weighted_text{" y", 1.5}));
}

TEST(prompt_weights, leave_other_text_as_it_is) {
  for (const auto* text : {"", "a circle", "a (red) circle", "f(x): 3", "(x:y)", "(x:1.5", "x:1.5)",
                           "(x:-1)", "(x:99)", "(x:nan)", "(x:)", "a \\n b"}) {
    EXPECT_THAT(parse_prompt_weights(text), ElementsAre(weighted_text{text, 1})) << text;
  }
  EXPECT_THAT(parse_prompt_weights("\\(red:1.4\\)"), ElementsAre(weighted_text{"(red:1.4)", 1}));
}

TEST(prompt_weights, stand_any_depth) {
  std::string deep(4000, '(');
  EXPECT_THAT(parse_prompt_weights(deep).size(), 1U);
}

}  // namespace
}  // namespace lp::engine
