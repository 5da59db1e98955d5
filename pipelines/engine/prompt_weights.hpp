// SPDX-License-Identifier: MIT
// Weights in prompts: "(a red circle:1.3) on a (blue:0.8) background". No torch here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lp::engine {

struct weighted_text {
  std::string text;
  double weight = 1;
  bool operator==(const weighted_text&) const = default;
};

/// The prompt cut at its weights. Only "(words:number)" is one, with a number from 0 to 10; nested
/// ones multiply. Other parentheses, and those behind a backslash, are text: so is a prompt without
/// weights, as a whole.
std::vector<weighted_text> parse_prompt_weights(std::string_view prompt);

}  // namespace lp::engine
