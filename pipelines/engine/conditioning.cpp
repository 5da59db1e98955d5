// SPDX-License-Identifier: MIT
#include "pipelines/engine/conditioning.hpp"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include "pipelines/engine/prompt_weights.hpp"
#include "pipelines/engine/upload.hpp"

namespace lp::engine {

namespace {

/// Tokens of a prompt without start and end, each with its weight.
struct weighted_tokens {
  std::vector<std::int64_t> ids;
  std::vector<float> weights;
  bool plain = true;  ///< all weights are 1
};

weighted_tokens tokens_of(const clip_tokenizer& words, const std::string& prompt) {
  weighted_tokens out;
  for (const auto& part : parse_prompt_weights(prompt)) {
    const auto ids = words.encode_raw(part.text);
    out.ids.insert(out.ids.end(), ids.begin(), ids.end());
    out.weights.insert(out.weights.end(), ids.size(), static_cast<float>(part.weight));
    if (part.weight != 1) out.plain = false;
  }
  return out;
}

std::size_t room(const clip_tokenizer& words) {
  return words.max_length() - 2;
}

/// Pieces laid end to end: each start, as many tokens as fit, end, padding.
struct laid_out {
  std::vector<std::int64_t> ids;
  std::vector<float> weights;
};

laid_out lay_out(const clip_tokenizer& words, const weighted_tokens& tokens, std::size_t pieces) {
  laid_out out;
  for (std::size_t piece = 0; piece < pieces; ++piece) {
    const auto begin = std::min(piece * room(words), tokens.ids.size());
    const auto end = std::min(begin + room(words), tokens.ids.size());
    const auto whole = (piece + 1) * words.max_length();
    out.ids.push_back(words.bos());
    out.ids.insert(out.ids.end(), tokens.ids.begin() + static_cast<std::ptrdiff_t>(begin),
                   tokens.ids.begin() + static_cast<std::ptrdiff_t>(end));
    out.ids.push_back(words.eos());
    out.weights.push_back(1);
    out.weights.insert(out.weights.end(),
                       tokens.weights.begin() + static_cast<std::ptrdiff_t>(begin),
                       tokens.weights.begin() + static_cast<std::ptrdiff_t>(end));
    out.ids.resize(whole, words.pad());
    out.weights.resize(whole, 1);
  }
  return out;
}

struct encoded {
  at::Tensor hidden;  ///< [1, tokens, size]
  at::Tensor pooled;  ///< of the first piece
};

encoded encode_one(const stable_diffusion::parts& p, std::size_t which, const std::string& prompt,
                   std::size_t pieces, int clip_skip) {
  const auto& words = p.tokenizers[which];
  const auto holding = p.texts[which].get();
  const auto& network = *holding;
  const auto tokens = tokens_of(words, prompt);
  const auto laid = lay_out(words, tokens, pieces);
  const auto ids = at::tensor(laid.ids, at::kLong).reshape({static_cast<std::int64_t>(pieces), -1});
  const auto out = network(upload(ids, p.device));
  // SDXL was trained on the last layer but one, as it is; SD on the last one, normed.
  const auto from_end = static_cast<std::size_t>(clip_skip + (p.is_xl() ? 1 : 0));
  auto hidden = out.last_hidden_state;
  if (from_end > 0) hidden = out.hidden_states[out.hidden_states.size() - 1 - from_end];
  if (from_end > 0 && !p.is_xl()) hidden = network.final_norm(hidden);
  hidden = hidden.to(at::kFloat).reshape({1, ids.numel(), -1});
  if (!tokens.plain) {
    const auto weights = upload(at::tensor(laid.weights), hidden.device()).reshape({1, -1, 1});
    const auto weighted = hidden * weights;
    hidden = weighted * (hidden.mean() / weighted.mean());
  }
  encoded result{hidden, {}};
  if (out.text_embeds.defined()) result.pooled = out.text_embeds.narrow(0, 0, 1).to(at::kFloat);
  return result;
}

}  // namespace

std::size_t pieces_of(const stable_diffusion::parts& p, const prompt_list& prompts) {
  std::size_t most = 1;
  for (std::size_t which = 0; which < p.tokenizers.size(); ++which) {
    const auto& words = p.tokenizers[which];
    const auto& texts = which == 1 && !prompts.second.empty() ? prompts.second : prompts.first;
    for (const auto& text : texts) {
      const auto count = tokens_of(words, text).ids.size();
      most = std::max(most, (count + room(words) - 1) / room(words));
    }
  }
  return most;
}

conditioning encode_prompts(const stable_diffusion::parts& p, const prompt_list& prompts,
                            std::size_t pieces, int clip_skip) {
  std::vector<at::Tensor> rows, pooled;
  for (std::size_t i = 0; i < prompts.first.size(); ++i) {
    std::vector<at::Tensor> side_by_side;
    for (std::size_t which = 0; which < p.texts.size(); ++which) {
      const bool own = which == 1 && !prompts.second.empty();
      const auto& text = own ? prompts.second[i] : prompts.first[i];
      const auto one = encode_one(p, which, text, pieces, clip_skip);
      side_by_side.push_back(one.hidden);
      if (one.pooled.defined() && which + 1 == p.texts.size()) pooled.push_back(one.pooled);
    }
    rows.push_back(at::cat(side_by_side, 2));
  }
  conditioning out;
  out.text = at::cat(rows);
  if (!pooled.empty()) out.pooled = at::cat(pooled);
  return out;
}

}  // namespace lp::engine
