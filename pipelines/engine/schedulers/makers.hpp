// SPDX-License-Identifier: MIT
// One maker a sampler, for the table in scheduler.cpp. Complaints are left in the settings.
#pragma once

#include <memory>

#include "pipelines/engine/schedulers/scheduler.hpp"
#include "pipelines/engine/schedulers/settings.hpp"

namespace lp::engine {

std::unique_ptr<scheduler> make_ddim(settings& config);
std::unique_ptr<scheduler> make_ddpm(settings& config);
std::unique_ptr<scheduler> make_deis(settings& config);
std::unique_ptr<scheduler> make_dpm_solver_multistep(settings& config);
std::unique_ptr<scheduler> make_dpm_solver_single(settings& config);
std::unique_ptr<scheduler> make_euler(settings& config);
std::unique_ptr<scheduler> make_euler_ancestral(settings& config);
std::unique_ptr<scheduler> make_flow_euler(settings& config);
std::unique_ptr<scheduler> make_heun(settings& config);
std::unique_ptr<scheduler> make_kdpm2(settings& config);
std::unique_ptr<scheduler> make_kdpm2_ancestral(settings& config);
std::unique_ptr<scheduler> make_lcm(settings& config);
std::unique_ptr<scheduler> make_lms(settings& config);
std::unique_ptr<scheduler> make_pndm(settings& config);
std::unique_ptr<scheduler> make_tcd(settings& config);
std::unique_ptr<scheduler> make_unipc(settings& config);

}  // namespace lp::engine
