// SPDX-License-Identifier: MIT
// Recursive length prefix, the form of Ethereum's transactions (Yellow Paper, appendix B).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "payments/u256.hpp"

namespace lp::payments::rlp {

std::string of_bytes(std::string_view bytes);
/// Big-endian without leading zeros; zero is the empty string.
std::string of_number(const u256& value);
/// A list of items that are encoded already.
std::string of_list(const std::vector<std::string>& items);

}  // namespace lp::payments::rlp
