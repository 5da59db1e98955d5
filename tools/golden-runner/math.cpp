// SPDX-License-Identifier: MIT
#include <ATen/ATen.h>

#include "pipelines/engine/nn.hpp"
#include "pipelines/engine/schedulers/scheduler.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "tools/golden-runner/kinds.hpp"

namespace lp::goldens {

result<answer> run_math(const golden_case& c) {
  answer out;
  const std::int64_t dim = c.integer("dim", 0);
  if (const auto times = c.input("timesteps"); times.defined() && dim > 0) {
    out.values["sd"] = engine::nn::timestep_embedding(times, dim, true, 0);
    out.values["ddpm"] = engine::nn::timestep_embedding(times, dim, false, 1);
  }
  if (const auto guidance = c.input("w"); guidance.defined() && dim > 0) {
    out.values["lcm"] = engine::guidance_embedding(guidance, dim);
  }
  if (const auto guided = c.input("noise_cfg"); guided.defined()) {
    out.values["out"] = engine::rescale_guidance(guided, c.input("noise_pred_text"),
                                                 c.number("guidance_rescale", 0));
  }
  return out;
}

result<answer> run_scheduler_math(const golden_case& c) {
  const auto recorded = c.expected().find("table");
  if (recorded == c.expected().end()) return answer::not_yet("other tables than the strengths'");
  auto table = recorded->second.value.clone();
  for (std::int64_t row = 0; row < table.size(0); ++row) {
    const auto steps = table[row][0].item<std::int64_t>();
    const auto strength = table[row][1].item<double>() / 1000;
    const auto part = engine::part_of(static_cast<int>(steps), strength);
    table[row][2] = part.run;
    table[row][3] = part.first;
  }
  return answer{{{"table", table}}, {}};
}

}  // namespace lp::goldens
