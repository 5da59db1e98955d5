// SPDX-License-Identifier: MIT
// A chain of the test's own, with an orchestrator and a sender on it.
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "payments/chain/ticket_broker.hpp"
#include "payments/keccak.hpp"
#include "runtime/chain/dev_chain.hpp"

namespace lp::payments::test {

/// Long enough for any machine; only a hang gets there.
inline time_point soon() {
  return clock::now() + seconds(60);
}

/// The value or a failed test with the error's text.
template <class T>
T get(result<T> r) {
  if (r) return std::move(*r);
  throw std::runtime_error(render(r.error()));
}
inline void get(result<void> r) {
  if (!r) throw std::runtime_error(render(r.error()));
}
template <class T>
T get(rpc_result<T> r) {
  if (r) return std::move(*r);
  throw std::runtime_error(render(r.error()));
}

inline u256 ether(std::uint64_t thousandths) {
  return u256(thousandths) * u256(1'000'000'000'000'000ULL);
}

/// True where anvil is not installed; says so loudly.
bool without_chain();

/// A running chain with one orchestrator and one sender that has funded deposit and reserve.
struct world {
  explicit world(runtime::dev_chain_options options = {}, const u256& deposit = ether(1000),
                 const u256& reserve = ether(1000));

  std::shared_ptr<eth_client> client() const { return chain->client(); }
  /// A ticket that always wins, bound to the last initialised round, with its signature.
  redeemable_ticket winner(std::uint32_t nonce, const u256& face_value = ether(10)) const;
  redeemable_ticket sign(ticket t) const;
  /// The recipient's number of winner()'s ticket.
  static hash32 rand_of(std::uint32_t nonce);

  std::unique_ptr<runtime::dev_chain> chain;
  private_key orchestrator = private_key::generate();
  private_key sender = private_key::generate();
  ticket_broker broker;
  rounds_manager rounds;
  bonding_manager bonding;
  gas_policy policy;
};

/// Skips the test where anvil is not installed.
#define LP_NEEDS_CHAIN()                                                                         \
  if (::lp::payments::test::without_chain()) {                                                   \
    GTEST_SKIP() << "NO CHAIN TEST IS RUN: anvil is not installed; tools/setup --chain does it"; \
  }

}  // namespace lp::payments::test
