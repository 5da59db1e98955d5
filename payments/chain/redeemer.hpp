// SPDX-License-Identifier: MIT
// Turns winning tickets into ether, and survives a crash at any moment.
//
// One transaction is under way at a time. What it will be is written to the ledger before it is
// sent (the "outbox": nonce, gas, fees, tickets); from that the very same transaction is made again
// after a crash, so that sending it twice does nothing. The contract pays no ticket twice anyway.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "payments/chain/ticket_broker.hpp"
#include "payments/chain/wallet.hpp"
#include "payments/ledger.hpp"

namespace lp::payments {

struct redeemer_config {
  std::size_t batch = 16;   ///< tickets in one transaction; at most 32
  seconds first_delay{15};  ///< after the first obstacle; doubled with each further one
  seconds longest_delay{3600};
  unsigned replacements = 10;  ///< of one stuck transaction; its fees grow each time
};

/// What one step did.
struct redeemer_step {
  std::size_t submitted = 0;  ///< tickets
  std::size_t mined = 0;
  std::size_t failed = 0;
  std::size_t postponed = 0;
  bool waiting = false;  ///< a transaction is under way
  std::string note;      ///< why nothing could be begun, if so
};

/// Not safe from several threads. Its steps wait for the node and the ledger: they belong on a
/// thread of their own. The ledger and the key must outlive it.
class redeemer {
 public:
  redeemer(ledger& book, std::shared_ptr<eth_client> chain, const protocol_addresses& where,
           const private_key& key, std::uint64_t chain_id, gas_policy policy,
           redeemer_config config);

  /// Looks after the transaction under way or, if there is none, begins one for tickets that are
  /// ripe. A ticket is ripe once its parameters have expired (redeeming reveals the number that
  /// decides over their tickets) and its back-off is over; `impatient` passes over the back-off.
  /// Fails where node or ledger cannot be reached: then nothing is lost, and the next step goes on.
  result<redeemer_step> step(std::int64_t unix_seconds, time_point deadline,
                             bool impatient = false);

 private:
  struct outbox {
    std::uint64_t nonce = 0;
    std::uint64_t gas = 0;
    std::vector<fee_pair> fees;  ///< of the first transaction and each replacement
    std::vector<hash32> tickets;
    std::int64_t since = 0;  ///< Unix seconds of the newest
  };
  struct choice {
    winning_ticket ticket;
    std::uint64_t gas = 0;
  };
  /// What is known while a step chooses.
  struct outlook {
    round_state round;
    std::uint64_t validity = 0;  ///< rounds
    u256 gas_price;
    std::map<address, integer> funds;  ///< what senders could still pay us, wei
    std::int64_t now = 0;
  };

  result<void> recover();
  result<void> write_outbox(const std::optional<outbox>& o);
  static std::string to_text(const outbox& o);
  static result<std::optional<outbox>> from_text(const std::string& text);

  result<transaction> rebuild(const outbox& o, const fee_pair& fees);
  message_call call_for(const std::vector<winning_ticket>& tickets) const;

  result<void> look_after(std::int64_t now, redeemer_step& out, time_point deadline);
  result<void> push_again(std::int64_t now, redeemer_step& out, time_point deadline);
  result<void> finish(const mined_transaction& r, std::int64_t now, redeemer_step& out,
                      time_point deadline);
  result<void> give_back(const std::string& why, std::int64_t now, bool penalty,
                         redeemer_step& out);

  result<void> begin(std::int64_t now, bool impatient, redeemer_step& out, time_point deadline);
  result<std::optional<outlook>> look(std::int64_t now, redeemer_step& out, time_point deadline);
  result<std::optional<choice>> judge(const winning_ticket& t, outlook& known, redeemer_step& out,
                                      time_point deadline);
  result<void> submit(const std::vector<choice>& chosen, std::int64_t now, redeemer_step& out,
                      time_point deadline);
  result<integer*> funds_of(const address& sender, outlook& known, time_point deadline);
  u256 find_payment(const winning_ticket& t, time_point deadline);

  result<void> mark_submitted(const hash32& transaction);
  result<void> record(const hash32& ticket, redemption state);
  result<void> give_up(const winning_ticket& t, const std::string& why, redeemer_step& out);
  result<void> postpone(const winning_ticket& t, const std::string& why, std::int64_t now,
                        redeemer_step& out);

  ledger& book_;
  std::shared_ptr<eth_client> chain_;
  ticket_broker broker_;
  rounds_manager rounds_;
  wallet wallet_;
  redeemer_config config_;
  std::optional<outbox> outbox_;
  bool recovered_ = false;
};

}  // namespace lp::payments
