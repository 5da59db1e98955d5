// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "payments/u256.hpp"

namespace lp::wallet_tool {

/// "1.5 eth", for people.
std::string ether_text(const payments::u256& wei);

}  // namespace lp::wallet_tool
