// SPDX-License-Identifier: MIT
#include "pipelines/engine/schedulers/scheduler.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <ATen/ops/cat.h>
#include <ATen/ops/randn.h>
#include <fmt/format.h>
#include <boost/json/value.hpp>

#include "pipelines/engine/schedulers/makers.hpp"
#include "pipelines/engine/upload.hpp"
#include "pipelines/scheduler_names.hpp"

namespace lp::engine {

namespace {

using maker = std::unique_ptr<scheduler> (*)(settings&);

constexpr std::array<std::pair<std::string_view, maker>, 16> known = {{
    {"DDIMScheduler", make_ddim},
    {"DDPMScheduler", make_ddpm},
    {"DEISMultistepScheduler", make_deis},
    {"DPMSolverMultistepScheduler", make_dpm_solver_multistep},
    {"DPMSolverSinglestepScheduler", make_dpm_solver_single},
    {"EulerAncestralDiscreteScheduler", make_euler_ancestral},
    {"EulerDiscreteScheduler", make_euler},
    {"FlowMatchEulerDiscreteScheduler", make_flow_euler},
    {"HeunDiscreteScheduler", make_heun},
    {"KDPM2AncestralDiscreteScheduler", make_kdpm2_ancestral},
    {"KDPM2DiscreteScheduler", make_kdpm2},
    {"LCMScheduler", make_lcm},
    {"LMSDiscreteScheduler", make_lms},
    {"PNDMScheduler", make_pndm},
    {"TCDScheduler", make_tcd},
    {"UniPCMultistepScheduler", make_unipc},
}};

auto find(std::string_view name) {
  return std::find_if(known.begin(), known.end(), [&](const auto& k) { return k.first == name; });
}

std::string known_names() {
  std::string out;
  for (const auto& [name, make] : known) out += fmt::format("{}{}", out.empty() ? "" : ", ", name);
  return out;
}

}  // namespace

result<std::unique_ptr<scheduler>> make_scheduler(const boost::json::object& config,
                                                  std::string_view class_name) {
  std::string name(class_name);
  if (name.empty()) {
    const auto* given = config.if_contains("_class_name");
    if (given == nullptr || !given->is_string())
      return fail(ec::bad_file, "scheduler_config.json: _class_name: expected a string");
    name = std::string(given->get_string());
  }
  const auto* entry = find(name);
  if (entry == known.end()) {
    return fail(
        ec::bad_file,
        fmt::format("scheduler_config.json: the scheduler {} is not supported; known are {}", name,
                    known_names()));
  }
  settings read(config);
  auto made = entry->second(read);
  if (auto ok = read.check(); !ok) return fail(ok.error());
  return made;
}

at::Tensor scheduler::add_noise_at(const at::Tensor&, const at::Tensor&, int) const {
  TORCH_CHECK(false, "this scheduler adds no noise at a time of the training");
}

result<std::size_t> scheduler::set_timesteps_from(int steps, double strength) {
  if (auto ok = set_timesteps(steps); !ok) return fail(ok.error());
  const auto part = part_of(steps, strength);
  if (part.run < 1)
    return fail(ec::invalid_parameters,
                fmt::format("strength: {} of {} steps leaves none to make; expected at least {}",
                            strength, steps, 1.0 / steps));
  const auto first = static_cast<std::size_t>(part.first * calls_per_step());
  return std::min(first, timesteps_.size() - 1);
}

bool knows_scheduler(std::string_view class_name) {
  return find(class_name) != known.end();
}

result<boost::json::object> choose_scheduler(const boost::json::object& config,
                                             std::string_view name) {
  auto out = config;
  std::string names;
  for (const auto& s : pipelines::scheduler_names) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", s.name);
    if (s.name != name && s.class_name != name) continue;
    // What the old class alone meant by these must not steer the new one.
    for (const auto* key : {"algorithm_type", "solver_type", "use_karras_sigmas", "skip_prk_steps",
                            "final_sigmas_type", "variance_type", "solver_order"})
      out.erase(key);
    out["_class_name"] = s.class_name;
    if (s.name == name && !s.flag.empty()) {
      if (s.value == "yes") {
        out[s.flag] = true;
      } else {
        out[s.flag] = s.value;
      }
    }
    return out;
  }
  return fail(
      ec::invalid_parameters,
      fmt::format("scheduler: expected one of {}, or such a class, not \"{}\"", names, name));
}

partial_run part_of(int steps, double strength) {
  const int run = std::min(static_cast<int>(steps * strength), steps);
  return {run, std::max(steps - run, 0)};
}

at::Tensor draw_noise(at::IntArrayRef shape, std::vector<at::Generator>& generators) {
  const auto options = at::TensorOptions().dtype(at::kFloat);
  if (generators.size() == 1) return at::randn(shape, generators.front(), options);
  TORCH_CHECK(!shape.empty() && generators.size() == static_cast<std::size_t>(shape[0]),
              "expected one generator a picture");
  auto single = shape.vec();
  single[0] = 1;
  std::vector<at::Tensor> drawn;
  drawn.reserve(generators.size());
  for (auto& g : generators) drawn.push_back(at::randn(single, g, options));
  return at::cat(drawn);
}

at::Tensor draw_noise_for(const at::Tensor& sample, std::vector<at::Generator>& generators) {
  return upload(draw_noise(sample.sizes(), generators), sample.device());
}

}  // namespace lp::engine
