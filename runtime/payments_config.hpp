// SPDX-License-Identifier: MIT
// The payments' part of the configuration. examples/paid.toml documents every key.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "payments/price_list.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"
#include "runtime/config_reader.hpp"

namespace lp::runtime {

/// [payments]; without it every job is free.
struct payments_config {
  enum class chain_kind { off, dev, rpc };

  bool enabled = false;
  chain_kind chain = chain_kind::off;
  std::uint16_t dev_port = 0;          ///< of anvil, with chain = "dev"; 0: any, for one process
  std::vector<std::string> endpoints;  ///< JSON-RPC, with chain = "rpc"
  std::string controller;              ///< address of the Livepeer controller, with chain = "rpc"
  milliseconds poll{5'000};            ///< how often the chain is looked at
  payments::rational max_gas_price{"200000000000"};  ///< wei for a unit of gas, tip included
  payments::rational max_tip{"5000000000"};          ///< of that for the block's maker
  std::uint64_t confirmations = 1;                   ///< blocks until a redemption counts

  std::filesystem::path data;             ///< a folder a node: its ledger
  std::filesystem::path keystore;         ///< NODE/: the node's key file; made if it is not there
  std::filesystem::path passphrase_file;  ///< of all key files; made if missing below `data`

  // Of orchestrators, in wei.
  payments::rational ticket_ev{8'000'000'000};  ///< what one ticket is worth
  payments::rational face_value{0};             ///< 0: from gas, or 100 ticket_ev
  payments::rational max_float{0};  ///< worth of a sender's winners without a chain; 0: any
  // Of gateways, in wei.
  payments::rational max_ticket_ev{"3000000000000"};
  payments::rational max_total_ev{"20000000000000"};  ///< of one payment
  payments::rational max_exposure{
      "40000000000000"};  ///< paid to one orchestrator and not yet served

  milliseconds terms_life{300'000};  ///< how long an orchestrator's price holds
  milliseconds suspension{600'000};  ///< of an orchestrator that took payment and did not deliver

  /// Currency -> units of it that one ETH buys.
  std::map<std::string, payments::rational, std::less<>> rates;
  /// Currency -> address of Chainlink's aggregator of ETH in it, or "dev": the one of a development
  /// chain.
  std::map<std::string, std::string, std::less<>> aggregators;
  milliseconds rate_every{60'000};        ///< how often aggregators are asked
  milliseconds rate_max_age{90'000'000};  ///< of what an aggregator says, by its own time
  milliseconds rate_keep{600'000};        ///< how long a rate holds while no new one can be had

  key_places at;
  std::vector<std::string> warnings;  ///< as config::warnings

  /// The fixed rates and, where there is one, the chain's.
  std::shared_ptr<const payments::price_feed> feed(
      const std::shared_ptr<const payments::price_feed>& chain = {}) const;
};

/// Whether it is "0x" and 40 hexadecimal digits.
bool is_eth_address(const std::string& text);

/// "off", "dev", "rpc"
const char* to_string(payments_config::chain_kind chain);

/// Reads [payments]; paths are relative to `folder`.
result<payments_config> read_payments(const toml::table& table, const std::string& file,
                                      const std::filesystem::path& folder);

/// Reads the tables [[OWNER.KEY]], each a rule of a price list.
result<std::vector<payments::price_rule>> read_price_rules(table_reader& owner,
                                                           const std::string& owner_name,
                                                           const std::string& key,
                                                           const std::string& file);

/// ec::bad_config where a rule's currency has no rate in `p`; `where` begins the message.
result<void> check_currencies(const std::vector<payments::price_rule>& rules,
                              const payments_config& p, const std::string& where);

/// The same for what is asked for: also where a price is too large or too small to be told a
/// gateway (payments::to_fraction()).
result<void> check_prices(const std::vector<payments::price_rule>& rules, const payments_config& p,
                          const std::string& where);

/// For --check.
toml::table to_table(const payments_config& p);
toml::array to_array(const std::vector<payments::price_rule>& rules);

}  // namespace lp::runtime
