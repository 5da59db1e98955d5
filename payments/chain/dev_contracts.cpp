// SPDX-License-Identifier: MIT
#include "payments/chain/dev_contracts.hpp"

#include <fmt/core.h>

#include "payments/chain/abi.hpp"
#include "payments/chain/artifact.hpp"
#include "payments/keccak.hpp"

namespace lp::payments {

namespace json = boost::json;

namespace {

const u256 plenty = static_cast<u256>(integer("1000000000000000000000000"));  // 10^6 ether
const u256 stake = static_cast<u256>(integer("100000000000000000000"));       // 100 tokens

gas_policy dev_policy() {
  gas_policy p;
  p.max_fee = static_cast<u256>(integer("1000000000000000"));
  p.max_gas = 25'000'000;
  p.poll_interval = milliseconds(2);
  return p;
}

// Where the controller says that the price feed is, and thereby that everything is ready.
constexpr const char* feed_name = "DevPriceFeed";

constexpr int most_round_tries = 5;

// BondingManager's word.
bool says_no_round(const error& e) {
  return e.message.find("round is not initialized") != std::string::npos;
}

private_key owner_key() {
  const hash32 secret = keccak256("lp-runtime: owner of a development chain's contracts");
  return std::move(*private_key::from_bytes(secret.view()));
}

// The two contracts here that are not Livepeer's are a few instructions each, written out.

// Minter asks for the supply on layer 1; this one answers every call with zero:
// PUSH1 32, PUSH1 0, RETURN.
constexpr std::string_view zero_answer("\x60\x20\x60\x00\xf3", 5);

// latestRoundData() as (1, price, now, now, 1) and, if the argument is decimals(), 8.
std::string feed_code(std::int64_t price_of_8_decimals) {
  std::string out("\x60\x00\x35\x60\xe0\x1c\x63", 7);             // selector := calldata[0] >> 224
  out += std::string("\x31\x3c\xe5\x67\x14\x60\x4a\x57", 8);      // if decimals(): jump to 0x4a
  out += std::string("\x60\x01\x80\x60\x00\x52\x60\x80\x52", 9);  // [0] = [0x80] = 1
  out += std::string("\x42\x80\x60\x40\x52\x60\x60\x52", 8);      // [0x40] = [0x60] = time
  out += '\x7f';                                                  // price
  hash32 word;
  const auto bits = static_cast<std::uint64_t>(price_of_8_decimals);
  for (std::size_t i = 0; i < 32; ++i) {
    const bool low = i >= 24;
    const auto byte = low ? (bits >> (8 * (31 - i))) & 0xff : (price_of_8_decimals < 0 ? 0xff : 0);
    word.bytes[i] = static_cast<std::uint8_t>(byte);
  }
  out += word.view();
  out += std::string("\x60\x20\x52\x60\xa0\x60\x00\xf3\x00", 9);  // [0x20] = price; return 5 words
  out += std::string("\x5b\x60\x08\x60\x00\x52\x60\x20\x60\x00\xf3", 11);  // return 8
  return out;
}

// Code that returns `runtime` as the new contract's code.
std::string creating(std::string_view runtime) {
  const auto size = static_cast<char>(runtime.size());
  std::string out{'\x60', size, '\x60', '\x0c', '\x60', '\x00', '\x39'};  // CODECOPY(0, 12, size)
  out += {'\x60', size, '\x60'};
  return out += std::string("\x00\xf3", 2).append(runtime);
}

}  // namespace

dev_contracts::dev_contracts(std::shared_ptr<eth_client> chain, std::uint64_t chain_id)
    : chain_(std::move(chain)),
      chain_id_(chain_id),
      owner_key_(owner_key()),
      owner_(chain_, owner_key_, chain_id, dev_policy()) {}

result<std::unique_ptr<dev_contracts>> dev_contracts::deploy(std::shared_ptr<eth_client> chain,
                                                             const dev_contracts_options& options,
                                                             time_point deadline) {
  const auto id = chain->chain_id(deadline);
  if (!id) return fail(id.error());
  std::unique_ptr<dev_contracts> out(new dev_contracts(std::move(chain), *id));
  if (auto given = out->give_ether(out->owner_.address(), plenty, deadline); !given) {
    return fail(given.error());
  }
  if (auto done = out->deploy_all(options, deadline); !done) return fail(done.error());
  if (auto done = out->configure(options, deadline); !done) return fail(done.error());
  if (auto done = out->announce(feed_name, out->feed_, deadline); !done) return fail(done.error());
  return out;
}

result<std::unique_ptr<dev_contracts>> dev_contracts::find(std::shared_ptr<eth_client> chain,
                                                           time_point deadline) {
  const auto id = chain->chain_id(deadline);
  if (!id) return fail(id.error());
  std::unique_ptr<dev_contracts> out(new dev_contracts(chain, *id));
  const address controller = created_address(out->owner_.address(), 0);
  const auto code = chain->code(controller, deadline);
  if (!code) return fail(code.error());
  if (code->empty()) return fail(ec::not_found, "the chain has no contracts");
  const contract c(chain, controller);
  const std::pair<const char*, address*> names[] = {{"LivepeerToken", &out->token_},
                                                    {feed_name, &out->feed_}};
  for (const auto& [name, into] : names) {
    const auto found = c.view("getContract(bytes32)", {keccak256(name)}, deadline);
    if (!found) return fail(found.error());
    const auto where = abi::reader(*found, name).account(0);
    if (!where) return fail(where.error());
    if (where->is_zero()) return fail(ec::not_found, "the contracts are not ready yet");
    *into = *where;
  }
  const auto known = find_protocol(chain, controller, deadline);
  if (!known) return fail(known.error());
  out->addresses_ = *known;
  return out;
}

result<address> dev_contracts::create(const std::string& code,
                                      const std::vector<abi::value>& arguments,
                                      time_point deadline) {
  message_call c;
  c.data = code + abi::encode(arguments);
  const auto r = owner_.execute(c, deadline);
  if (!r) return fail(static_cast<const error&>(r.error()));
  if (!r->created) return fail(ec::bad_request, "the node made no contract");
  return *r->created;
}

result<void> dev_contracts::run(wallet& by, const address& to, std::string_view function,
                                const std::vector<abi::value>& arguments, time_point deadline) {
  const auto r = by.execute(contract(chain_, to).call(function, arguments), deadline);
  if (r) return {};
  error e = r.error();
  e.message = fmt::format("{}: {}", function, e.message);
  return fail(std::move(e));
}

result<void> dev_contracts::anvil(std::string_view method, json::array params,
                                  time_point deadline) {
  const auto done = chain_->rpc().call(method, std::move(params), deadline);
  if (done) return {};
  return fail(static_cast<const error&>(done.error()));
}

result<void> dev_contracts::announce(const std::string& name, const address& where,
                                     time_point deadline) {
  // The last argument is a commit of the source, 20 bytes at the left of their word.
  return run(owner_, addresses_.controller, "setContractInfo(bytes32,address,bytes20)",
             {keccak256(name), where, hash32()}, deadline);
}

// The protocol reaches its larger contracts through proxies that ask the controller for the target.
result<address> dev_contracts::proxied(const std::string& name, const std::string& code,
                                       time_point deadline) {
  const std::string target = name + "Target";
  const auto made = create(code, {addresses_.controller}, deadline);
  if (!made) return made;
  if (auto done = announce(target, *made, deadline); !done) return fail(done.error());
  const auto proxy = create(proxy_code_, {addresses_.controller, keccak256(target)}, deadline);
  if (!proxy) return proxy;
  if (auto done = announce(name, *proxy, deadline); !done) return fail(done.error());
  return proxy;
}

result<void> dev_contracts::deploy_all(const dev_contracts_options& o, time_point deadline) {
  // Keeps the first failure; what comes after it does nothing.
  result<void> failure;
  const auto code = [&](const char* file, const std::map<std::string, address>& libraries = {}) {
    if (!failure) return std::string();
    auto out = read_artifact(o.artifacts / file, libraries);
    if (!out) failure = fail(out.error());
    return out.value_or("");
  };
  const auto keep = [&](const result<address>& made) {
    if (failure && !made) failure = fail(made.error());
    return made.value_or(address());
  };
  const auto make = [&](const std::string& bytes, const std::vector<abi::value>& arguments) {
    return failure ? keep(create(bytes, arguments, deadline)) : address();
  };
  const auto make_proxied = [&](const std::string& name, const std::string& bytes) {
    return failure ? keep(proxied(name, bytes, deadline)) : address();
  };
  const auto tell = [&](const std::string& name, const address& where) {
    if (failure) failure = announce(name, where, deadline);
  };
  addresses_.controller = make(code("Controller.sol/Controller.json"), {});
  proxy_code_ = code("ManagerProxy.sol/ManagerProxy.json");
  token_ = make(code("token/LivepeerToken.sol/LivepeerToken.json"), {});
  tell("LivepeerToken", token_);
  tell("L2LPTDataCache", make(creating(zero_answer), {}));
  // Inflation, its change and the bonding rate that it aims at, in millionths.
  const address minter = make(code("token/Minter.sol/Minter.json"),
                              {addresses_.controller, u256(137), u256(3), u256(500'000)});
  tell("Minter", minter);
  const address list = make(code("libraries/SortedDoublyLL.sol/SortedDoublyLL.json"), {});
  addresses_.bonding_manager = make_proxied(
      "BondingManager",
      code("bonding/BondingManager.sol/BondingManager.json", {{"SortedDoublyLL", list}}));
  addresses_.rounds_manager =
      make_proxied("RoundsManager", code("rounds/RoundsManager.sol/RoundsManager.json"));
  addresses_.ticket_broker =
      make_proxied("TicketBroker", code("pm/TicketBroker.sol/TicketBroker.json"));
  // The minter takes ether from the contract of this name alone.
  tell("JobsManager", addresses_.ticket_broker);
  addresses_.service_registry =
      make_proxied("ServiceRegistry", code("ServiceRegistry.sol/ServiceRegistry.json"));
  const auto price = static_cast<std::int64_t>(o.usd_per_eth * 100'000'000);
  feed_ = make(creating(feed_code(price)), {});
  for (const char* role : {"MINTER_ROLE", "BURNER_ROLE"}) {
    if (!failure) break;
    failure =
        run(owner_, token_, "grantRole(bytes32,address)", {keccak256(role), minter}, deadline);
  }
  return failure;
}

result<void> dev_contracts::configure(const dev_contracts_options& o, time_point deadline) {
  const protocol_addresses& a = addresses_;
  struct step {
    const address& to;
    std::string_view function;
    std::vector<abi::value> arguments;
  };
  const step steps[] = {
      {token_, "grantRole(bytes32,address)", {keccak256("MINTER_ROLE"), owner_.address()}},
      {a.bonding_manager, "setUnbondingPeriod(uint64)", {u256(7)}},
      {a.bonding_manager, "setNumActiveTranscoders(uint256)", {u256(10)}},
      {a.rounds_manager, "setRoundLength(uint256)", {u256(o.round_length)}},
      {a.rounds_manager, "setRoundLockAmount(uint256)", {u256(0)}},
      {a.ticket_broker, "setUnlockPeriod(uint256)", {u256(o.unlock_period)}},
      {a.ticket_broker, "setTicketValidityPeriod(uint256)", {u256(o.ticket_validity)}},
      {a.controller, "unpause()", {}},
  };
  for (const step& s : steps) {
    if (auto done = run(owner_, s.to, s.function, s.arguments, deadline); !done) return done;
  }
  return next_round(deadline);
}

result<void> dev_contracts::give_ether(const address& to, const u256& wei, time_point deadline) {
  return anvil("anvil_setBalance", {to_data(to.view()), to_quantity(wei)}, deadline);
}

result<void> dev_contracts::register_orchestrator(const private_key& key,
                                                  const std::string& service_uri,
                                                  time_point deadline) {
  const auto registered =
      bonding_manager(chain_, addresses_.bonding_manager).is_registered(key.address(), deadline);
  if (!registered) return fail(registered.error());
  if (!*registered) {
    if (auto done = bond(key, deadline); !done) return done;
  }
  const auto known =
      service_registry(chain_, addresses_.service_registry).service_uri(key.address(), deadline);
  if (!known) return fail(known.error());
  if (*known == service_uri) return {};
  wallet own(chain_, key, chain_id_, dev_policy());
  return run(own, addresses_.service_registry, "setServiceURI(string)",
             {abi::value::of_bytes(service_uri)}, deadline);
}

result<void> dev_contracts::bond(const private_key& key, time_point deadline) {
  if (auto done = run(owner_, token_, "mint(address,uint256)", {key.address(), stake}, deadline);
      !done) {
    return done;
  }
  wallet own(chain_, key, chain_id_, dev_policy());
  struct step {
    const address& to;
    std::string_view function;
    std::vector<abi::value> arguments;
  };
  const protocol_addresses& a = addresses_;
  const step steps[] = {
      {token_, "approve(address,uint256)", {a.bonding_manager, stake}},
      {a.bonding_manager, "bond(uint256,address)", {stake, key.address()}},
      // 5 % of rewards kept, 50 % of fees shared with delegators.
      {a.bonding_manager, "transcoder(uint256,uint256)", {u256(50'000), u256(500'000)}},
  };
  for (const step& s : steps) {
    auto done = run(own, s.to, s.function, s.arguments, deadline);
    // A round has just begun: bonding waits for somebody to initialise it.
    for (int i = 0; !done && i < most_round_tries && says_no_round(done.error()); ++i) {
      if (auto begun = initialize_round(deadline); !begun) return fail(begun.error());
      done = run(own, s.to, s.function, s.arguments, deadline);
    }
    if (!done) return done;
  }
  return {};
}

result<void> dev_contracts::mine(std::uint64_t blocks, time_point deadline) {
  return anvil("anvil_mine", {to_quantity(u256(blocks))}, deadline);
}

// Others initialise rounds too, and one may end meanwhile: what counts is how it stands.
result<bool> dev_contracts::initialize_round(time_point deadline) {
  result<void> done;
  for (int i = 0; i < most_round_tries; ++i) {
    const auto state = rounds_manager(chain_, addresses_.rounds_manager).state(deadline);
    if (!state) return fail(state.error());
    if (state->initialized) return false;
    done = run(owner_, addresses_.rounds_manager, "initializeRound()", {}, deadline);
    if (done) return true;
  }
  return fail(done.error());
}

result<void> dev_contracts::next_round(time_point deadline) {
  const rounds_manager rounds(chain_, addresses_.rounds_manager);
  const auto start = rounds.small_number("currentRoundStartBlock()", {}, deadline);
  if (!start) return fail(start.error());
  const auto length = rounds.small_number("roundLength()", {}, deadline);
  if (!length) return fail(length.error());
  const auto now = chain_->block_number(deadline);
  if (!now) return fail(now.error());
  if (*start + *length > *now) {
    if (auto mined = mine(*start + *length - *now, deadline); !mined) return mined;
  }
  auto done = initialize_round(deadline);
  if (!done) return fail(done.error());
  return {};
}

result<void> dev_contracts::set_usd_per_eth(std::int64_t usd, time_point deadline) {
  return anvil("anvil_setCode", {to_data(feed_.view()), to_data(feed_code(usd * 100'000'000))},
               deadline);
}

}  // namespace lp::payments
