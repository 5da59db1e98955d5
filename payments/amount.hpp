// SPDX-License-Identifier: MIT
// Amounts of ether as people write them. The grammar is that of parse_money(), for the command
// line, the configuration and requests alike.
#pragma once

#include <string_view>

#include "payments/u256.hpp"

namespace lp::payments {

/// "0.5eth", "20 gwei", "1e15 wei" or "12345" (wei), as whole wei. ec::bad_request, naming `what`,
/// for anything else: also another currency, a fraction of a wei and what 256 bits do not hold.
result<u256> parse_wei(std::string_view text, std::string_view what);

}  // namespace lp::payments
