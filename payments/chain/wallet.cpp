// SPDX-License-Identifier: MIT
#include "payments/chain/wallet.hpp"

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

#include <fmt/core.h>

#include "runtime/base/log.hpp"

namespace lp::payments {

namespace {

constexpr int most_nonce_tries = 8;
constexpr unsigned gas_jitter = 1024;

rpc_failure plain(const error& e) {
  rpc_failure out;
  static_cast<error&>(out) = e;
  return out;
}

bool says(const std::string& message, std::initializer_list<std::string_view> any) {
  std::string lower = message;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::any_of(any.begin(), any.end(), [&](std::string_view words) {
    return lower.find(words) != std::string::npos;
  });
}

// Raised by `percent`, rounded up, so that small fees grow too.
integer raised(const u256& fee, unsigned percent) {
  return (integer(fee) * (100 + percent) + 99) / 100;
}

}  // namespace

wallet::wallet(std::shared_ptr<eth_client> chain, const private_key& key, std::uint64_t chain_id,
               gas_policy policy)
    : chain_(std::move(chain)), key_(key), chain_id_(chain_id), policy_(policy) {}

result<fee_pair> wallet::fees(time_point deadline) {
  const auto head = chain_->latest_block(deadline);
  if (!head) return fail(head.error());
  const auto asked = chain_->priority_fee(deadline);
  if (!asked) return fail(asked.error());
  fee_pair out;
  out.tip = std::min({*asked, policy_.max_tip, policy_.max_fee});
  const integer least = integer(head->base_fee) + integer(out.tip);
  if (least > integer(policy_.max_fee)) {
    return fail(ec::unavailable, fmt::format("gas costs {} wei now, the cap is {}", least.str(),
                                             to_text(policy_.max_fee)));
  }
  // Twice the base fee outlasts six full blocks, each of which may raise it by an eighth.
  const integer most = 2 * integer(head->base_fee) + integer(out.tip);
  out.max_fee = static_cast<u256>(std::min(most, integer(policy_.max_fee)));
  out.expected = static_cast<u256>(least);
  return out;
}

rpc_result<transaction> wallet::prepare(const message_call& c, time_point deadline) {
  message_call from_us = c;
  from_us.from = address();
  const auto gas =
      c.gas > 0 ? rpc_result<std::uint64_t>(c.gas) : chain_->estimate_gas(from_us, deadline);
  if (!gas) return tl::unexpected(gas.error());
  const auto f = fees(deadline);
  if (!f) return tl::unexpected(plain(f.error()));
  const auto nonce = chain_->transaction_count(address(), true, deadline);
  if (!nonce) return tl::unexpected(plain(nonce.error()));
  transaction t;
  t.chain_id = chain_id_;
  t.nonce = *nonce;
  t.max_priority_fee = f->tip;
  t.max_fee = f->max_fee;
  t.gas_limit = *gas + *gas / 100 * policy_.margin_percent;
  t.to = c.to;
  t.value = c.value;
  t.data = c.data;
  if (*gas > policy_.max_gas) {
    return tl::unexpected(
        plain({ec::unavailable,
               fmt::format("the transaction needs {} gas, the cap is {}", *gas, policy_.max_gas),
               {}}));
  }
  // No two are alike: otherwise two processes with this key could make one and the same transaction
  // of two equal payments, and the node would tell the second that it knows it already.
  t.gas_limit = std::min(t.gas_limit + std::random_device{}() % gas_jitter, policy_.max_gas);
  return t;
}

result<transaction> wallet::replacement(const transaction& stuck, time_point deadline) {
  const auto now = fees(deadline);
  if (!now) return fail(now.error());
  const integer tip =
      std::max(integer(now->tip), raised(stuck.max_priority_fee, policy_.bump_percent));
  const integer most = std::max(integer(now->max_fee), raised(stuck.max_fee, policy_.bump_percent));
  if (most > integer(policy_.max_fee) || tip > most) {
    return fail(ec::unavailable,
                fmt::format("replacing the transaction needs {} wei per gas, the cap is {}",
                            most.str(), to_text(policy_.max_fee)));
  }
  transaction out = stuck;
  out.max_priority_fee = static_cast<u256>(tip);
  out.max_fee = static_cast<u256>(most);
  return out;
}

result<broadcast_result> wallet::broadcast(const std::string& raw, time_point deadline) {
  const auto sent = chain_->send_raw(raw, deadline);
  if (sent) return broadcast_result{};
  const rpc_failure& e = sent.error();
  if (!e.answered) return fail(static_cast<const error&>(e));
  if (says(e.message, {"already known", "already imported", "known transaction"})) {
    return broadcast_result{};
  }
  const bool taken = says(e.message, {"nonce too low", "replacement transaction underpriced",
                                      "nonce has already been used"});
  return broadcast_result{taken ? broadcast_outcome::nonce_taken : broadcast_outcome::refused,
                          e.message};
}

result<std::optional<mined_transaction>> wallet::confirmed(const hash32& transaction,
                                                           time_point deadline) {
  const auto found = chain_->transaction_receipt(transaction, deadline);
  if (!found || !*found || policy_.confirmations <= 1) return found;
  const auto head = chain_->block_number(deadline);
  if (!head) return fail(head.error());
  if (*head + 1 < (*found)->block + policy_.confirmations)
    return std::optional<mined_transaction>();
  return found;
}

std::string wallet::failure_reason(const message_call& c, const mined_transaction& r,
                                   time_point deadline) {
  message_call from_us = c;
  from_us.from = address();
  const auto again = chain_->call(from_us, deadline, r.block);
  return again ? std::string("the transaction failed in its block (out of gas?)")
               : again.error().message;
}

rpc_result<mined_transaction> wallet::execute(const message_call& c, time_point deadline) {
  std::string last;
  for (int attempt = 0; attempt < most_nonce_tries; ++attempt) {
    transaction t;
    signed_transaction sent;
    broadcast_result taken;
    {
      const std::lock_guard lock(sending_);
      auto prepared = prepare(c, deadline);
      if (!prepared) return tl::unexpected(prepared.error());
      t = std::move(*prepared);
      sent = sign(t);
      auto outcome = broadcast(sent.raw, deadline);
      if (!outcome) return tl::unexpected(plain(outcome.error()));
      taken = std::move(*outcome);
    }
    if (taken.outcome == broadcast_outcome::accepted) return wait(c, t, sent, deadline);
    last = std::move(taken.reason);
    // Another process with the same key was quicker: the next nonce, then.
    if (taken.outcome != broadcast_outcome::nonce_taken) break;
  }
  return tl::unexpected(
      plain({ec::unavailable, fmt::format("the node takes no transaction: {}", last), {}}));
}

rpc_result<mined_transaction> wallet::wait(const message_call& c, transaction t,
                                           signed_transaction sent, time_point deadline) {
  std::vector<hash32> tried{sent.hash};
  time_point replace_at = clock::now() + policy_.stuck_after;
  for (;;) {
    for (const hash32& h : tried) {
      const auto found = confirmed(h, deadline);
      if (!found) return tl::unexpected(plain(found.error()));
      if (!*found) continue;
      if ((*found)->succeeded) return **found;
      rpc_failure out = plain({ec::bad_request, failure_reason(c, **found, deadline), {}});
      out.answered = out.reverted = true;
      return tl::unexpected(std::move(out));
    }
    if (clock::now() >= deadline) {
      return tl::unexpected(
          plain({ec::deadline_exceeded,
                 fmt::format("transaction 0x{} is not confirmed yet", tried.back().hex()),
                 {}}));
    }
    if (clock::now() >= replace_at) {
      replace_at = clock::now() + policy_.stuck_after;
      if (auto next = replacement(t, deadline)) {
        const signed_transaction again = sign(*next);
        const auto taken = broadcast(again.raw, deadline);
        if (taken && taken->outcome == broadcast_outcome::accepted) {
          t = std::move(*next);
          tried.push_back(again.hash);
          log::info("chain", "replaced a stuck transaction by 0x{}", again.hash.hex());
        }
      } else {
        log::warn("chain", "{}", next.error().message);
      }
    }
    std::this_thread::sleep_for(std::min(policy_.poll_interval, remaining(deadline)));
  }
}

}  // namespace lp::payments
