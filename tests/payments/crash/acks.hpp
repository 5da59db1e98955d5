// SPDX-License-Identifier: MIT
// What the program that is killed tells the one that kills it: one line for everything that the
// ledger called done. Both know the same keys and prices.
#pragma once

#include <cstdint>
#include <string>

#include "payments/keccak.hpp"
#include "payments/keys.hpp"
#include "payments/u256.hpp"

namespace lp::payments::crash {

inline private_key gateway_key() {
  return std::move(*private_key::from_bytes(keccak256("crash: gateway").view()));
}
inline private_key orchestrator_key() {
  return std::move(*private_key::from_bytes(keccak256("crash: orchestrator").view()));
}

/// Job number n costs this much; a third of them use less than was quoted.
inline rational quoted(std::uint64_t n) {
  return {integer(1'000'000'007) * (n % 40 + 1), integer(n % 7 + 1)};
}
inline rational used(std::uint64_t n) {
  return n % 3 == 0 ? rational(quoted(n) * (n % 5) / 5) : quoted(n);
}

// Lines: "ready", "taken RANDHASH FIRST COUNT", "sent RANDHASH FIRST COUNT", "in N", "out N" for
// settled jobs.

}  // namespace lp::payments::crash
