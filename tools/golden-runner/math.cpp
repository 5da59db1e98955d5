// SPDX-License-Identifier: MIT
#include <ATen/ATen.h>

#include "pipelines/engine/nn.hpp"
#include "tools/golden-runner/kinds.hpp"

namespace lp::goldens {

result<answer> run_math(const golden_case& c) {
  answer out;
  const std::int64_t dim = c.integer("dim", 0);
  if (const auto times = c.input("timesteps"); times.defined() && dim > 0) {
    out.values["sd"] = engine::nn::timestep_embedding(times, dim, true, 0);
    out.values["ddpm"] = engine::nn::timestep_embedding(times, dim, false, 1);
  }
  return out;
}

}  // namespace lp::goldens
