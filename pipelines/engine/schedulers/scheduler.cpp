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

namespace lp::engine {

namespace {

using maker = std::unique_ptr<scheduler> (*)(settings&);

constexpr std::array<std::pair<std::string_view, maker>, 8> known = {{
    {"DDIMScheduler", make_ddim},
    {"DPMSolverMultistepScheduler", make_dpm_solver_multistep},
    {"EulerAncestralDiscreteScheduler", make_euler_ancestral},
    {"EulerDiscreteScheduler", make_euler},
    {"LCMScheduler", make_lcm},
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

bool knows_scheduler(std::string_view class_name) {
  return find(class_name) != known.end();
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

}  // namespace lp::engine
