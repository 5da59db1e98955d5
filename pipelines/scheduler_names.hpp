// SPDX-License-Identifier: MIT
// The samplers that a request may name: in a header, since the description lists them and the
// engine makes them.
#pragma once

#include <string_view>

namespace lp::pipelines {

struct scheduler_name {
  std::string_view name;        ///< short, as clients write it
  std::string_view class_name;  ///< Diffusers'
  std::string_view flag;        ///< a member of its configuration that the short name sets
  std::string_view value;       ///< to this; "yes": to true
};

inline constexpr scheduler_name scheduler_names[] = {
    {"ddim", "DDIMScheduler", "", ""},
    {"ddpm", "DDPMScheduler", "", ""},
    {"deis", "DEISMultistepScheduler", "", ""},
    {"dpm++_2m", "DPMSolverMultistepScheduler", "", ""},
    {"dpm++_2m_karras", "DPMSolverMultistepScheduler", "use_karras_sigmas", "yes"},
    {"dpm++_2m_sde", "DPMSolverMultistepScheduler", "algorithm_type", "sde-dpmsolver++"},
    {"dpm++_single", "DPMSolverSinglestepScheduler", "lower_order_final", "yes"},
    {"euler", "EulerDiscreteScheduler", "", ""},
    {"euler_karras", "EulerDiscreteScheduler", "use_karras_sigmas", "yes"},
    {"euler_a", "EulerAncestralDiscreteScheduler", "", ""},
    {"heun", "HeunDiscreteScheduler", "", ""},
    {"kdpm2", "KDPM2DiscreteScheduler", "", ""},
    {"kdpm2_a", "KDPM2AncestralDiscreteScheduler", "", ""},
    {"lcm", "LCMScheduler", "", ""},
    {"lms", "LMSDiscreteScheduler", "", ""},
    {"pndm", "PNDMScheduler", "skip_prk_steps", "yes"},
    {"tcd", "TCDScheduler", "", ""},
    {"unipc", "UniPCMultistepScheduler", "", ""},
};

/// The class of a short name, or the name itself where it is none.
constexpr std::string_view scheduler_class_of(std::string_view name) {
  for (const scheduler_name& s : scheduler_names) {
    if (s.name == name) return s.class_name;
  }
  return name;
}

}  // namespace lp::pipelines
