// SPDX-License-Identifier: MIT
// What a node that pays or is paid has: a key, a ledger, and somebody who knows the chain.
#pragma once

#include <memory>
#include <string>

#include "actors/purse.hpp"
#include "actors/till.hpp"
#include "payments/keys.hpp"
#include "payments/ledger.hpp"
#include "runtime/base/steady_time.hpp"
#include "runtime/config.hpp"

namespace lp::runtime {

/// The key of `node`: the one key file in [payments] keystore / NODE. A node without one gets a new
/// key and, if the passphrase file is missing too and lies below [payments] data, a random
/// passphrase. ec::bad_config, naming the file: a passphrase file that is missing elsewhere, or
/// while there are keys, is a mistake, and nothing is made.
result<payments::private_key> open_key(const payments_config& p, const std::string& node);

/// What open_key() and open_ledger() would complain of; makes nothing, and a running node does not
/// mind. A second at most, for the passphrase.
result<void> check_money(const payments_config& p, const std::string& node);

/// The ledger in [payments] data / NODE; the folder is made if need be. Says in the log what an
/// audit of some seconds at most finds. Before open_key(): of two processes that start one node,
/// the second ends here and makes no key.
result<std::unique_ptr<payments::ledger>> open_ledger(const payments_config& p,
                                                      const std::string& node);

/// A gateway's and an orchestrator's part of the configuration as their rules take it.
payments::sender_config sender_rules(const payments_config& p);
payments::recipient_config recipient_rules(const payments_config& p);

/// An orchestrator's time: the host's clock, or what the ledger has forgotten by, where that is
/// later; `counts_blocks`: blocks too, where there is no chain to count them.
std::shared_ptr<steady_time> time_of(const payments::ledger& money, const std::string& node,
                                     bool counts_blocks);

/// What a node without a chain knows of it: blocks of 12 seconds of `time`, a gateway's those of
/// the orchestrator's time; and that every sender is trusted for max_float, if that is set.
actors::chain_lookup no_chain(const payments_config& p, std::shared_ptr<steady_time> time);
actors::own_chain_lookup no_own_chain();

}  // namespace lp::runtime
