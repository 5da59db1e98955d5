// SPDX-License-Identifier: MIT
#include "pipelines/engine/schedulers/scheduler.hpp"

#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "pipelines/engine/python_json.hpp"
#include "pipelines/engine/random.hpp"
#include "tools/golden-runner/kinds.hpp"

namespace lp::goldens {
namespace {

/// All calls in sequence over the recorded network outputs.
void run_steps(const golden_case& c, engine::scheduler& sampler, tensors& out) {
  std::vector<at::Generator> noise = {
      engine::seeded_generator(static_cast<std::uint64_t>(c.integer("step_seed", 0)))};
  const at::Tensor outputs = c.input("model_outputs");
  at::Tensor sample = c.input("sample");
  std::vector<at::Tensor> scaled, previous, original;
  for (std::size_t i = 0; i < sampler.timesteps().size(); ++i) {
    scaled.push_back(sampler.scale_model_input(sample, i));
    sample = sampler.step(outputs[static_cast<std::int64_t>(i)], i, sample, noise);
    previous.push_back(sample);
    if (sampler.pred_original().defined()) original.push_back(sampler.pred_original());
  }
  out["scaled_inputs"] = at::stack(scaled);
  out["prev_samples"] = at::stack(previous);
  if (original.size() == previous.size()) out["pred_original"] = at::stack(original);
}

}  // namespace

result<answer> run_scheduler(const golden_case& c) {
  const auto config = engine::read_python_json_file(c.path("scheduler_config"));
  if (!config) return fail(config.error());
  const std::string name = c.text("scheduler");
  if (!engine::knows_scheduler(name)) return answer::not_yet(name);
  const auto made = engine::make_scheduler(*config, name);
  if (!made) return fail(made.error());
  engine::scheduler& sampler = **made;
  sampler.set_eta(c.number("eta", 0));
  if (auto set = sampler.set_timesteps(static_cast<int>(c.integer("num_inference_steps", 0)));
      !set) {
    return fail(set.error());
  }
  const double sigma = c.number("init_noise_sigma", sampler.init_noise_sigma());
  if (std::abs(sampler.init_noise_sigma() - sigma) > 1e-5 * sigma) {
    return fail(ec::internal, fmt::format("init_noise_sigma is {}, expected {}",
                                          sampler.init_noise_sigma(), sigma));
  }
  answer out;
  run_steps(c, sampler, out.values);
  out.values["timesteps"] = at::tensor(sampler.timesteps(), at::kDouble);
  if (!sampler.sigmas().empty()) out.values["sigmas"] = at::tensor(sampler.sigmas(), at::kDouble);
  if (const auto latents = c.input("add_noise_latents"); latents.defined()) {
    const auto index = static_cast<std::size_t>(c.integer("add_noise_index", 0));
    out.values["noisy"] = sampler.add_noise(latents, c.input("add_noise_noise"), index);
  }
  return out;
}

}  // namespace lp::goldens
