// SPDX-License-Identifier: MIT
#include <ATen/ATen.h>
#include <fmt/format.h>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/clip_text_encoder.hpp"
#include "tools/golden-runner/kinds.hpp"

namespace lp::goldens {

result<answer> run_text_encoder(const golden_case& c) {
  const auto name = golden_case::class_name(c.path("model_dir") / "config.json");
  if (!name) return fail(name.error());
  if (*name != "CLIPTextModel" && *name != "CLIPTextModelWithProjection") {
    return answer::not_yet(*name);
  }
  const auto encoder = engine::load_clip_text(c.path("model_dir"), at::kFloat);
  if (!encoder) return fail(encoder.error());
  const auto got = (**encoder)(c.input("input_ids"));
  answer out;
  out.values["last_hidden_state"] = got.last_hidden_state;
  out.values["pooler_output"] = got.pooled;
  if (got.text_embeds.defined()) out.values["text_embeds"] = got.text_embeds;
  // "hidden_states_m2" is Python's hidden_states[-2].
  for (std::size_t i = 0; i < got.hidden_states.size(); ++i) {
    const std::size_t from_end = got.hidden_states.size() - i;
    out.values[fmt::format("hidden_states_m{}", from_end)] = got.hidden_states[i];
  }
  return out;
}

}  // namespace lp::goldens
