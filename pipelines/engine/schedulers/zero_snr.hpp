// SPDX-License-Identifier: MIT
#pragma once

#include <boost/json/object.hpp>

namespace lp::engine {

/// A scheduler_config.json for a network that was trained down to no signal at all, or for one that
/// was not. Beside the schedule the spacing matters: only "trailing" begins where there is none.
/// Sections 3.1 and 3.3 of arXiv 2305.08891.
inline void set_zero_terminal_snr(boost::json::object& config, bool zero) {
  config["rescale_betas_zero_snr"] = zero;
  if (zero) config["timestep_spacing"] = "trailing";
}

}  // namespace lp::engine
