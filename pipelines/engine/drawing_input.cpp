// SPDX-License-Identifier: MIT
#include "pipelines/engine/drawing_input.hpp"

#include <ATen/ops/cat.h>

namespace lp::engine {

namespace {

at::Tensor entry(const at::Tensor& rows, std::int64_t i) {
  return rows.size(0) == 1 ? rows : rows.narrow(0, i, 1);
}

at::Tensor together(const std::vector<at::Tensor>& rows) {
  return rows.empty() ? at::Tensor() : at::cat(rows);
}

using members = std::vector<std::pair<std::uint64_t, std::int64_t>>;

members members_of(const std::vector<picture_at>& pictures) {
  members out;
  for (const auto& p : pictures) out.emplace_back(p.of->serial, p.number);
  return out;
}

gathered_conditions conditions_of(const std::vector<picture_at>& pictures) {
  std::vector<at::Tensor> texts, conds, labels, pooled, sizes, extra;
  for (const auto& [s, shown, i] : pictures) {
    for (const auto& pass : s->passes) {
      texts.push_back(entry(pass.text, i));
      if (pass.extra.defined()) extra.push_back(entry(pass.extra, i));
      if (pass.pooled.defined()) pooled.push_back(entry(pass.pooled, i));
      if (pass.sizes.defined()) sizes.push_back(entry(pass.sizes, i));
      if (s->guidance_embedding.defined()) conds.push_back(s->guidance_embedding);
      if (s->labels.defined()) labels.push_back(s->labels);
    }
  }
  gathered_conditions out;
  out.of = members_of(pictures);
  out.in.encoder_hidden_states = together(texts);
  out.in.timestep_cond = together(conds);
  out.in.class_labels = together(labels);
  out.in.text_embeds = together(pooled);
  out.in.time_ids = together(sizes);
  out.extra = together(extra);
  return out;
}

}  // namespace

unet_input gather(const std::vector<picture_at>& pictures) {
  auto& kept = pictures.front().of->gathered[pictures.front().number];
  if (kept.of != members_of(pictures)) kept = conditions_of(pictures);
  std::vector<at::Tensor> samples, times;
  for (const auto& [s, shown, i] : pictures) {
    const auto sample = shown->narrow(0, i, 1);
    const auto time = s->times.narrow(0, static_cast<std::int64_t>(s->next), 1);
    samples.insert(samples.end(), s->passes.size(), sample);
    times.insert(times.end(), s->passes.size(), time);
  }
  auto in = kept.in;
  in.sample = at::cat(samples);
  if (kept.extra.defined()) in.sample = at::cat(at::TensorList{in.sample, kept.extra}, 1);
  in.timestep = at::cat(times);
  return in;
}

}  // namespace lp::engine
