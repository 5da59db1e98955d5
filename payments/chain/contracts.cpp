// SPDX-License-Identifier: MIT
#include "payments/chain/contracts.hpp"

#include <fmt/core.h>

#include "payments/chain/abi.hpp"
#include "payments/keccak.hpp"

namespace lp::payments {

namespace mp = boost::multiprecision;

namespace {

constexpr std::uint64_t most_decimals = 77;

std::string_view name_of(std::string_view function) {
  return function.substr(0, function.find('('));
}

}  // namespace

message_call contract::call(std::string_view function, const std::vector<abi::value>& arguments,
                            const u256& value) const {
  message_call out;
  out.to = address_;
  out.value = value;
  out.data = abi::call(function, arguments);
  return out;
}

result<std::string> contract::view(std::string_view function,
                                   const std::vector<abi::value>& arguments,
                                   time_point deadline) const {
  auto out = chain_->call(call(function, arguments), deadline);
  if (out) return std::move(*out);
  error e = out.error();
  e.message = fmt::format("{}: {}", name_of(function), e.message);
  return fail(std::move(e));
}

result<u256> contract::number(std::string_view function, const std::vector<abi::value>& arguments,
                              time_point deadline) const {
  const auto out = view(function, arguments, deadline);
  if (!out) return fail(out.error());
  return abi::reader(*out, name_of(function)).number(0);
}

result<std::uint64_t> contract::small_number(std::string_view function,
                                             const std::vector<abi::value>& arguments,
                                             time_point deadline) const {
  const auto out = view(function, arguments, deadline);
  if (!out) return fail(out.error());
  return abi::reader(*out, name_of(function)).small_number(0);
}

result<protocol_addresses> find_protocol(const std::shared_ptr<eth_client>& chain,
                                         const address& controller, time_point deadline) {
  protocol_addresses out;
  out.controller = controller;
  const contract c(chain, controller);
  const std::pair<const char*, address*> names[] = {{"TicketBroker", &out.ticket_broker},
                                                    {"RoundsManager", &out.rounds_manager},
                                                    {"BondingManager", &out.bonding_manager},
                                                    {"ServiceRegistry", &out.service_registry}};
  const auto code = chain->code(controller, deadline);
  if (!code) return fail(code.error());
  if (code->empty()) {
    return fail(ec::bad_config, fmt::format("controller {}: there is no contract on this chain",
                                            to_text(controller)));
  }
  for (const auto& [name, into] : names) {
    const auto found = c.view("getContract(bytes32)", {keccak256(name)}, deadline);
    if (!found) return fail(found.error());
    const auto where = abi::reader(*found, name).account(0);
    if (!where) return fail(where.error());
    if (where->is_zero()) {
      return fail(ec::bad_config,
                  fmt::format("controller {} knows no {}", to_text(controller), name));
    }
    *into = *where;
  }
  return out;
}

result<round_state> rounds_manager::state(time_point deadline) const {
  round_state out;
  const std::pair<const char*, std::uint64_t*> numbers[] = {
      {"currentRound()", &out.current},
      {"lastInitializedRound()", &out.last_initialized},
      {"blockNum()", &out.block}};
  for (const auto& [function, into] : numbers) {
    const auto n = small_number(function, {}, deadline);
    if (!n) return fail(n.error());
    *into = *n;
  }
  out.initialized = out.last_initialized == out.current;
  const auto hash = block_hash(out.last_initialized, deadline);
  if (!hash) return fail(hash.error());
  out.block_hash = *hash;
  return out;
}

result<hash32> rounds_manager::block_hash(std::uint64_t round, time_point deadline) const {
  const auto n = view("blockHashForRound(uint256)", {u256(round)}, deadline);
  if (!n) return fail(n.error());
  return abi::reader(*n, "blockHashForRound").word(0);
}

result<std::string> service_registry::service_uri(const payments::address& orchestrator,
                                                  time_point deadline) const {
  const auto out = view("getServiceURI(address)", {orchestrator}, deadline);
  if (!out) return fail(out.error());
  return abi::reader(*out, "getServiceURI").bytes(0);
}

result<bool> bonding_manager::is_active(const payments::address& orchestrator,
                                        time_point deadline) const {
  const auto n = number("isActiveTranscoder(address)", {orchestrator}, deadline);
  if (!n) return fail(n.error());
  return *n != 0;
}

result<bool> bonding_manager::is_registered(const payments::address& orchestrator,
                                            time_point deadline) const {
  const auto n = number("isRegisteredTranscoder(address)", {orchestrator}, deadline);
  if (!n) return fail(n.error());
  return *n != 0;
}

result<std::uint64_t> bonding_manager::pool_size(time_point deadline) const {
  return small_number("getTranscoderPoolSize()", {}, deadline);
}

result<std::vector<payments::address>> bonding_manager::orchestrators(std::size_t most,
                                                                      time_point deadline) const {
  std::vector<payments::address> out;
  auto next = view("getFirstTranscoderInPool()", {}, deadline);
  while (out.size() < most) {
    if (!next) return fail(next.error());
    const auto who = abi::reader(*next, "pool").account(0);
    if (!who) return fail(who.error());
    if (who->is_zero()) break;
    out.push_back(*who);
    next = view("getNextTranscoderInPool(address)", {*who}, deadline);
  }
  return out;
}

result<chainlink_aggregator::reading> chainlink_aggregator::latest(std::uint64_t now,
                                                                   std::chrono::seconds most_age,
                                                                   time_point deadline) const {
  const auto decimals = small_number("decimals()", {}, deadline);
  if (!decimals) return fail(decimals.error());
  const auto data = view("latestRoundData()", {}, deadline);
  if (!data) return fail(data.error());
  const abi::reader r(*data, "latestRoundData");
  const auto round = r.number(0);
  const auto answer = r.number(1);  // signed, in two's complement
  const auto updated = r.small_number(3);
  const auto answered_in = r.number(4);
  if (!answered_in) return fail(answered_in.error());
  if (!updated) return fail(updated.error());
  const auto unusable = [&](std::string_view why) {
    return fail(ec::unavailable, fmt::format("price feed {}: {}", to_text(this->address()), why));
  };
  if (*decimals > most_decimals) return unusable("more than 77 decimals");
  if (*answer == 0 || mp::bit_test(*answer, 255)) return unusable("the price is not positive");
  if (*answered_in < *round || *updated == 0) return unusable("the round is not finished");
  if (*updated + static_cast<std::uint64_t>(most_age.count()) < now) {
    return unusable(fmt::format("the price is {} s old", now - *updated));
  }
  const integer scale = mp::pow(integer(10), static_cast<unsigned>(*decimals));
  return reading{rational(integer(*answer), scale), *updated};
}

}  // namespace lp::payments
