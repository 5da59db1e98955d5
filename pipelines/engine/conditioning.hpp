// SPDX-License-Identifier: MIT
// Prompts as the UNet takes them.
#pragma once

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/stable_diffusion_parts.hpp"

namespace lp::engine {

/// Prompts for one text encoder or both.
struct prompt_list {
  const std::vector<std::string>& first;
  const std::vector<std::string>& second;  ///< empty: as the first
};

struct conditioning {
  at::Tensor text;    ///< fp32 [prompts, tokens, size]: both encoders' side by side
  at::Tensor pooled;  ///< fp32 [prompts, size], of SDXL's second encoder; undefined otherwise
};

/// Pieces that are encoded at most; what is longer is cut.
inline constexpr std::size_t most_pieces = 16;

/// Pieces of the tokenizers' length that the longest of the prompts needs.
std::size_t pieces_of(const stable_diffusion::parts& p, const prompt_list& prompts);

/// Encodes every prompt in so many pieces; short ones are filled up with empty text.
conditioning encode_prompts(const stable_diffusion::parts& p, const prompt_list& prompts,
                            std::size_t pieces, int clip_skip);

}  // namespace lp::engine
