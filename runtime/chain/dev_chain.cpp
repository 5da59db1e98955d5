// SPDX-License-Identifier: MIT
#include "runtime/chain/dev_chain.hpp"

#include <algorithm>
#include <cstdlib>
#include <future>
#include <optional>

#include <fmt/core.h>

#include "payments/chain/ticket_broker.hpp"
#include "runtime/base/log.hpp"
#include "runtime/chain/http_transport.hpp"
#include "runtime/chain/turn.hpp"

namespace lp::runtime {

namespace fs = std::filesystem;
using payments::u256;

namespace {

const u256 purse = static_cast<u256>(payments::integer("1000000000000000000000"));
constexpr seconds round_check{1};
// For a chain that ends to leave its port, with its state written.
constexpr seconds port_time{10};

bool holds_tools(const fs::path& folder) {
  std::error_code error;
  return fs::exists(folder / "anvil", error) && fs::exists(folder / "contracts", error);
}

// "Listening on 127.0.0.1:43210".
std::uint16_t port_in(const std::string& line) {
  const auto colon = line.rfind(':');
  if (!line.starts_with("Listening on") || colon == std::string::npos) return 0;
  return static_cast<std::uint16_t>(std::strtoul(line.c_str() + colon + 1, nullptr, 10));
}

}  // namespace

result<fs::path> find_chain_tools() {
  std::error_code error;
  if (const char* given = std::getenv("LP_CHAIN_DIR"); given && *given) {
    if (holds_tools(given)) return fs::path(given);
    return fail(ec::bad_file, fmt::format("LP_CHAIN_DIR={}: expected a folder that "
                                          "tools/chain/install made",
                                          given));
  }
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  // build/release/bin/PROGRAM lies beside build/chain.
  const fs::path build = program.parent_path().parent_path().parent_path();
  for (const fs::path& folder : {build / "chain", fs::path("build/chain")}) {
    if (holds_tools(folder)) return folder;
  }
  return fail(ec::bad_file, "the test chain is not installed: tools/setup --chain does it");
}

result<std::unique_ptr<dev_chain>> dev_chain::start(const dev_chain_options& options,
                                                    time_point deadline) {
  std::unique_ptr<dev_chain> out(new dev_chain(options));
  if (out->options_.tools.empty()) {
    auto found = find_chain_tools();
    if (!found) return fail(found.error());
    out->options_.tools = *found;
  }
  if (auto opened = out->open(deadline); !opened) return fail(opened.error());
  if (!out->owner()) return out;
  if (options.block_time.count() > 0) {
    auto set = out->mine_every(options.block_time, deadline);
    if (!set) return fail(set.error());
  }
  if (options.keep_rounds) out->keeper_ = std::thread([raw = out.get()] { raw->keep_rounds(); });
  return out;
}

// In turn: of several processes that start at once one launches the chain, the others find it
// complete. Should the first die on the way, the next one launches it.
result<void> dev_chain::open(time_point deadline) {
  std::optional<turn> mine;
  if (options_.shared) {
    auto taken = turn::take(options_.port, deadline);
    if (!taken) return fail(taken.error());
    mine.emplace(std::move(*taken));
  }
  const time_point port_free_by = std::min(deadline, clock::now() + port_time);
  for (;;) {
    if (options_.shared) {
      const auto joined = join(deadline);
      if (!joined) return fail(joined.error());
      if (*joined) return {};
    }
    const auto launched = launch(deadline);
    if (launched) break;
    node_.reset();
    const bool again = options_.shared && clock::now() < port_free_by;
    if (!again || launched.error().code != ec::unavailable) return launched;
    std::this_thread::sleep_for(milliseconds(100));
  }
  if (auto kept = payments::dev_contracts::find(client_, deadline)) {
    protocol_ = std::move(*kept);
    return {};
  }
  payments::dev_contracts_options contracts;
  contracts.artifacts = options_.tools / "contracts";
  contracts.round_length = options_.round_length;
  contracts.usd_per_eth = options_.usd_per_eth;
  auto deployed = payments::dev_contracts::deploy(client_, contracts, deadline);
  if (!deployed) return fail(deployed.error());
  protocol_ = std::move(*deployed);
  return {};
}

// False if nobody listens there, or not any more.
result<bool> dev_chain::join(time_point deadline) {
  use(options_.port);
  const auto id = client_->chain_id(std::min(deadline, clock::now() + seconds(2)));
  if (!id) return false;
  chain_id_ = *id;
  for (;;) {
    auto found = payments::dev_contracts::find(client_, deadline);
    if (found) {
      protocol_ = std::move(*found);
      return true;
    }
    if (clock::now() >= deadline) {
      return fail(ec::unavailable,
                  fmt::format("{}: {}", url_, static_cast<const error&>(found.error()).message));
    }
    if (!client_->chain_id(std::min(deadline, clock::now() + seconds(2)))) return false;
    std::this_thread::sleep_for(milliseconds(100));
  }
}

void dev_chain::use(std::uint16_t port) {
  options_.port = port;
  url_ = fmt::format("http://127.0.0.1:{}", port);
  if (client_) return;
  payments::rpc_options rpc;
  rpc.endpoints = {url_};
  client_ = std::make_shared<payments::eth_client>(connect_rpc(rpc));
}

result<void> dev_chain::launch(time_point deadline) {
  std::vector<std::string> command{
      (options_.tools / "anvil").string(), "--host",     "127.0.0.1", "--port",
      std::to_string(options_.port),       "--accounts", "1"};
  if (options_.free_gas) command.insert(command.end(), {"--block-base-fee-per-gas", "0"});
  if (!options_.state.empty()) {
    command.insert(command.end(), {"--state", options_.state.string()});
  }
  struct news {
    std::promise<std::uint16_t> port;
    bool told = false;
    std::string trouble;
  };
  const auto heard = std::make_shared<news>();
  auto port = heard->port.get_future();
  auto started = child_process::start(std::move(command), [heard](const std::string& line) {
    if (line.starts_with("Error")) heard->trouble = line;
    const std::uint16_t at = heard->told ? 0 : port_in(line);
    if (at == 0) return;
    heard->told = true;
    heard->port.set_value(at);
  });
  if (!started) return fail(started.error());
  node_ = std::move(*started);
  while (port.wait_for(milliseconds(20)) != std::future_status::ready) {
    if (clock::now() >= deadline) return fail(ec::deadline_exceeded, "anvil did not start in time");
    if (node_->running()) continue;
    node_->stop(deadline);  // nobody writes to `heard` from here on
    if (heard->told) break;
    return fail(ec::unavailable, fmt::format("anvil ended at once: {}", heard->trouble));
  }
  use(port.get());
  const auto id = client_->chain_id(deadline);
  if (!id) return fail(id.error());
  chain_id_ = *id;
  return {};
}

result<void> dev_chain::add_orchestrator(const payments::private_key& key,
                                         const std::string& service_uri, time_point deadline) {
  const auto mine = turn::take(options_.port, deadline);
  if (!mine) return fail(mine.error());
  const payments::bonding_manager bonds(client_, contracts().bonding_manager);
  if (auto done = protocol_->give_ether(key.address(), purse, deadline); !done) return done;
  auto done = protocol_->register_orchestrator(key, service_uri, deadline);
  if (!done) return done;
  const auto active = bonds.is_active(key.address(), deadline);
  if (!active) return fail(active.error());
  if (*active) return {};
  return protocol_->next_round(deadline);
}

result<void> dev_chain::add_sender(const payments::private_key& key, const u256& deposit,
                                   const u256& reserve, time_point deadline) {
  const auto mine = turn::take(options_.port, deadline);
  if (!mine) return fail(mine.error());
  if (auto done = protocol_->give_ether(key.address(), purse, deadline); !done) return done;
  payments::wallet own(client_, key, chain_id_, {});
  const payments::ticket_broker broker(client_, contracts().ticket_broker);
  const auto done = own.execute(broker.fund(deposit, reserve), deadline);
  if (done) return {};
  return fail(static_cast<const error&>(done.error()));
}

result<void> dev_chain::mine_every(std::chrono::seconds interval, time_point deadline) {
  const auto mine = turn::take(options_.port, deadline);
  if (!mine) return fail(mine.error());
  const auto set =
      client_->rpc().call("evm_setIntervalMining", {std::int64_t{interval.count()}}, deadline);
  if (set) return {};
  return fail(static_cast<const error&>(set.error()));
}

void dev_chain::keep_rounds() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, round_check, [this] { return ending_; })) {
    lock.unlock();
    if (auto done = protocol_->initialize_round(clock::now() + seconds(5)); !done) {
      log::debug("dev-chain", "round: {}", done.error().message);
    }
    lock.lock();
  }
}

result<void> dev_chain::restart(bool crash, time_point deadline) {
  if (!node_) return fail(ec::bad_config, "the chain belongs to another process");
  if (crash) node_->kill();
  node_->stop(deadline);
  return launch(deadline);
}

void dev_chain::stop() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (keeper_.joinable()) keeper_.join();
  if (node_) node_->stop(clock::now() + seconds(5));
}

dev_chain::~dev_chain() {
  stop();
}

}  // namespace lp::runtime
