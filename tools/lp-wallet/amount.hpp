// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "payments/u256.hpp"

namespace lp::wallet_tool {

/// "1.5eth", "20 gwei", "12345wei" or plain "12345" (wei); whole wei alone. ec::bad_request, naming
/// `what`, otherwise.
result<payments::u256> parse_amount(std::string_view text, std::string_view what);

/// "1.5 eth", for people.
std::string ether_text(const payments::u256& wei);

}  // namespace lp::wallet_tool
