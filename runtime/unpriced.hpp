// SPDX-License-Identifier: MIT
// What a configuration gives away.
#pragma once

#include <string>

#include "runtime/config.hpp"

namespace lp::runtime {

/// With [payments], where that orchestrator has no price for something its workers offer: a
/// sentence that names it. A price of "0" is meant, and not told of.
std::string unpriced(const config& c, const orchestrator_config& o);

}  // namespace lp::runtime
