// SPDX-License-Identifier: MIT
#include <ATen/ATen.h>

#include "pipelines/engine/nn.hpp"
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

}  // namespace lp::goldens
