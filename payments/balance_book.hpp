// SPDX-License-Identifier: MIT
// The one place where balances change. Every change is an event; applying the same events to an
// empty book gives the same balances again, which is what an audit does.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "payments/address.hpp"
#include "payments/u256.hpp"

namespace lp::payments {

enum class side : std::uint8_t {
  incoming = 1,  ///< credit that a sender has with us
  outgoing = 2,  ///< credit that we have with an orchestrator
};

/// Whose balance. Both sides keep it per counterparty, so that no change of session, price or
/// parameters loses any.
struct account_key {
  side of = side::incoming;
  address other;

  auto operator<=>(const account_key&) const = default;
};

struct account {
  rational credit;    ///< wei that may be spent; never negative
  rational reserved;  ///< wei held for jobs under way
};

/// What can happen to a balance. The numbers are stored: append, never renumber.
enum class event_kind : std::uint8_t {
  tickets = 1,    ///< tickets taken or sent: credit grows
  reserve = 2,    ///< a job begins: from credit to reserved
  debit = 3,      ///< work done: reserved shrinks
  release = 4,    ///< not needed: from reserved back to credit
  write_off = 5,  ///< credit that the other side does not acknowledge
};

std::string_view to_string(event_kind kind);
std::string_view to_string(side of);

struct event {
  event_kind kind = event_kind::tickets;
  account_key account;
  rational amount;            ///< wei, never negative
  std::string job;            ///< with reserve, debit and release
  std::uint64_t payment = 0;  ///< with tickets: the payment's number in the ledger
};

/// A job that holds part of a balance.
struct open_job {
  account_key account;
  std::string job;
  rational reserved;
};

class balance_book {
 public:
  using job_key = std::pair<account_key, std::string>;

  /// Zeros for whom nothing is known of.
  account find(const account_key& key) const;
  const std::map<account_key, account>& accounts() const { return accounts_; }
  const std::map<job_key, open_job>& jobs() const { return jobs_; }

  // Each of these decides, changes the book and returns what happened, for the log.

  /// ec::internal for a negative amount.
  result<event> credit(const account_key& key, const rational& amount, std::uint64_t payment);
  /// ec::payment_required if the credit does not cover `amount`, ec::bad_request if the job is
  /// open already.
  result<event> reserve(const account_key& key, const std::string& job, const rational& amount);
  /// Debits `used`, at most what is reserved, and returns the rest to the credit: 1 or 2 events.
  /// Full success, failure (0) and cancellation all end here. ec::not_found for a job that is not
  /// open, ec::bad_request for a negative `used`.
  result<std::vector<event>> settle(const account_key& key, const std::string& job,
                                    const rational& used);
  /// Lowers the credit to `to` if it is above; no event if it is not.
  result<std::vector<event>> write_off(const account_key& key, const rational& to);

  /// Replays one event; ec::bad_file, saying why, for one that cannot have happened.
  result<void> apply(const event& e);

  // For loading a stored book.
  void put(const account_key& key, account value) { accounts_[key] = std::move(value); }
  void put(open_job job);

 private:
  std::map<account_key, account> accounts_;
  std::map<job_key, open_job> jobs_;
};

/// `credit`, or a little less where its denominator has more than 1024 bits: then a multiple of
/// 2^-64 wei. Without a bound, prices with ever new denominators would let balances grow without
/// end.
rational bounded_credit(const rational& credit);

}  // namespace lp::payments
