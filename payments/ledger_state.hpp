// SPDX-License-Identifier: MIT
// What the ledger's writer decides with: the durable state in memory. Each call changes memory and
// writes rows into the open transaction; flush() writes what is written once a group.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "payments/ledger.hpp"
#include "payments/ledger_store.hpp"

namespace lp::payments {

class ledger_state {
 public:
  ledger_state(ledger_store& store, const ledger_options& options)
      : store_(store), options_(options) {}

  /// Reads everything from the file, forgetting what is in memory.
  result<void> load();

  /// The mark as a note holds it; zeros for anything else.
  static forgotten_mark read_mark(std::string_view note);
  static constexpr const char* forgotten_note = "ledger: forgotten";

  /// Time of all that is recorded from here on, Unix milliseconds.
  void set_time(std::int64_t milliseconds) { now_ = milliseconds; }

  result<receipt> receive(const checked_payment& p);
  result<admitted> admit(const admission& a);
  result<funded> fund(const funding& f);
  result<account> settle(const account_key& key, const std::string& job, const rational& used);
  result<account> write_off(const address& orchestrator, const rational& to);
  result<void> set_redemption(const hash32& ticket, const redemption& state);
  result<void> forget_expired(std::uint64_t l1_block, std::int64_t unix_seconds);
  result<void> set_note(const std::string& name, const std::string& value);
  /// See ledger_options::settle_lost_jobs.
  void settle_lost_jobs();

  /// Rows that several calls of a group may have changed: balances and nonces.
  void flush();

 private:
  /// A received set of parameters.
  struct session {
    std::uint64_t id = 0;
    address sender;
    u256 expiration;
    std::vector<std::uint32_t> nonces;  ///< ascending
    bool dirty = false;
  };

  void record(const event& e);
  bool room_for(const account_key& key) const;
  /// The session of these parameters; a new one if there is room, or null and why not.
  session* open_session(const checked_payment& p, std::optional<error>& why);
  void add_session_row(std::uint64_t id, const checked_payment& p, bool with_nonces);
  std::optional<error> take_nonce(session& s, std::uint32_t nonce) const;
  void queue_winner(const checked_payment& p, const checked_ticket& t, receipt& r, session* known);
  void read_forgotten();
  void write_forgotten();
  rational usable(const funding& f, const rational& credit);
  result<rational> reserve(const account_key& key, const std::string& job, const rational& quoted,
                           const receipt& paid);

  ledger_store& store_;
  const ledger_options& options_;
  std::int64_t now_ = 0;
  balance_book book_;
  std::set<account_key> dirty_accounts_;
  std::unordered_map<hash32, session> sessions_;
  std::unordered_map<address, std::size_t> sessions_of_;
  std::vector<session*> dirty_sessions_;
  std::unordered_map<hash32, std::int64_t> authorizations_;
  std::uint64_t next_session_ = 1;
  std::uint64_t next_payment_ = 1;
  /// What expired by these is refused, whatever block or time a caller says it is: the latest that
  /// was dropped.
  forgotten_mark forgotten_;
  /// The block and the time for which everything was last looked over.
  forgotten_mark swept_;
  /// Credit at orchestrators that they do not acknowledge; see funding::stated.
  std::unordered_map<address, rational> doubted_;
};

}  // namespace lp::payments
