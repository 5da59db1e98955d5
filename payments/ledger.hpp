// SPDX-License-Identifier: MIT
// The node's memory of money: one SQLite file. What a callback reports as done is on disk and
// survives a crash at any moment.
//
// One thread writes. It takes whatever has queued up, applies it one after the other and makes it
// durable with one sync (group commit), so that many receivers share its cost. Callbacks run on
// that thread, in order; they must not block and not wait for the ledger.
//
// An orchestrator: recipient::check() on a validator's thread, then admit() for a job, settle()
// when it is over. A gateway: fund() before a job, sign_tickets(), settle() when the answer is
// there. A job's name is unique among those of one account.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "payments/authorization.hpp"
#include "payments/balance_book.hpp"
#include "payments/payment.hpp"
#include "payments/sender.hpp"
#include "runtime/base/clock.hpp"

namespace lp::payments {

struct ledger_options {
  std::filesystem::path file;  ///< "<data directory>/ledger.sqlite"; created with 0600
  /// Opens for looking only: no writer, no lock, every changing call answers ec::bad_request. For
  /// tools beside a running node.
  bool read_only = false;
  /// Jobs that were under way when the process ended: an orchestrator's give their credit back (the
  /// work is lost), a gateway's are debited in full (the work may have been done).
  bool settle_lost_jobs = true;
  std::size_t max_queue = 4096;  ///< calls that wait; beyond it they answer ec::busy
  std::size_t max_queued_tickets = 100'000;
  std::size_t max_accounts = 1'000'000;  ///< counterparties; beyond it new ones answer ec::busy
  std::size_t max_sessions = 100'000;    ///< sets of parameters whose nonces are remembered
  std::size_t max_sessions_per_sender = 20'000;
  std::size_t max_authorizations = 1'000'000;  ///< used ones that have not expired
  std::uint32_t max_nonces = 600;              ///< tickets of one set of parameters
};

template <class T>
using callback = std::function<void(result<T>)>;

/// What became of a payment.
struct receipt {
  std::uint64_t payment = 0;        ///< its number; 0 if no ticket was credited
  std::size_t accepted = 0;         ///< tickets credited
  std::size_t winners = 0;          ///< new ones in the redemption queue
  rational credited;                ///< wei
  rational credit;                  ///< wei, the sender's afterwards
  std::optional<error> stopped_by;  ///< why not all: a bad signature, a nonce seen before, expiry
};

/// An orchestrator's job on its way in. The authorisation has passed check_authorization() and the
/// payment recipient::check().
struct admission {
  job_authorization authorization;
  /// Wei for the whole job: fee() at checked_payment::agreed, or at the orchestrator's own price
  /// where there is no payment.
  rational quoted;
  std::optional<checked_payment> payment;  ///< none: the standing credit has to cover it
  std::int64_t unix_seconds = 0;           ///< now
};

struct admitted {
  receipt paid;
  rational reserved;  ///< wei; now settle({side::incoming, sender}, job, used) must follow
};

/// A gateway's job on its way out.
struct funding {
  ticket_params params;            ///< has passed check_offer()
  std::string job;                 ///< the gateway's identifier, also in the authorisation
  rational quoted;                 ///< wei for the whole job
  std::optional<rational> budget;  ///< wei that the request may cost; none: no bound
  sender_config limits;
  /// Wei that the orchestrator says it holds for us, where that was asked a moment ago. What we
  /// believe beyond it is not counted on, for this job and those that follow, until it is said
  /// anew: while jobs are under way nobody can tell whether it was lost.
  std::optional<rational> stated{};
};

/// Sign and send this: sign_tickets(key, params, first_nonce, count).
struct funded {
  std::uint32_t first_nonce = 0;
  std::uint32_t count = 0;  ///< 0: the credit there covers the job
  rational credit;          ///< wei left at the orchestrator once the job's price is reserved
};

/// A ticket's way to its money. The numbers are stored: append, never renumber.
enum class redemption_state : std::uint8_t {
  queued = 1,     ///< won, nothing done yet
  submitted = 2,  ///< a transaction is out: see `transaction`
  mined = 3,      ///< paid and confirmed
  failed = 4,     ///< given up: see `why`
};
std::string_view to_string(redemption_state state);

struct redemption {
  redemption_state state = redemption_state::queued;
  std::string why;     ///< last obstacle, in words; also while queued
  hash32 transaction;  ///< zero until submitted
  std::uint32_t attempts = 0;
  std::int64_t not_before = 0;  ///< Unix seconds; back-off, for the redeemer
  u256 paid;                    ///< wei that came in, once mined (may be less than the face value)
};

/// All that redeemWinningTicket() takes, and how it stands.
struct winning_ticket {
  hash32 hash;  ///< ticket_hash()
  ticket won;
  signature sig;
  hash32 recipient_rand;
  u256 expiration_block;      ///< redeem only from then on: it reveals recipient_rand
  std::int64_t received = 0;  ///< Unix seconds
  redemption state;
};

struct account_line {
  account_key key;
  account balance;
};

struct payment_line {
  std::uint64_t number = 0;
  side of = side::incoming;
  address other;
  std::int64_t at = 0;  ///< Unix milliseconds
  ticket_params params;
  std::vector<std::uint32_t> nonces;
  rational value;  ///< wei
};

/// One line of the event log.
struct event_line {
  std::uint64_t number = 0;  ///< from 1, without gaps
  std::int64_t at = 0;       ///< Unix milliseconds
  event what;
};

/// What an audit found.
struct audit_report {
  std::uint64_t events = 0;
  std::uint64_t payments = 0;
  std::uint64_t tickets = 0;
  std::uint64_t winners = 0;
  std::vector<std::string> problems;  ///< empty: everything agrees; at most 100
  bool ok() const { return problems.empty(); }
};

/// What may have been forgotten: whatever expired by these is refused, though no trace of it is
/// left.
struct forgotten_mark {
  std::uint64_t l1_block = 0;
  std::int64_t unix_seconds = 0;
};

/// What of the ledger is on disk now.
struct ledger_stats {
  std::uint64_t commits = 0;
  std::uint64_t calls = 0;    ///< that these commits made durable
  std::uint64_t tickets = 0;  ///< accepted since opening
  std::size_t waiting = 0;
};

class ledger_core;

class ledger {
 public:
  /// Creates the file, brings an older one up to date and starts the writer. ec::bad_file if it is
  /// damaged, newer than this program or in use by a process, which is named.
  static result<std::unique_ptr<ledger>> open(ledger_options options);
  /// Whether open() would take the file, which is there and may be in use: ec::bad_file, naming
  /// it, if it cannot be read, is empty, another program's, or newer than this program.
  static result<void> recognise(const std::filesystem::path& file);
  /// Finishes what is queued.
  ~ledger();
  ledger(const ledger&) = delete;
  ledger& operator=(const ledger&) = delete;

  /// 32 random bytes made when the file was created: the recipient's secret. Never print it.
  const hash32& node_secret() const;

  // --- changes; all are durable when the callback runs

  /// Credits a payment's tickets whose nonces are new, and queues winners. Fails only if nothing
  /// could be written; see receipt::stopped_by for the rest.
  void receive(checked_payment p, callback<receipt> done);

  /// In one step: uses up the authorisation (ec::unauthorized if it was used before, whatever comes
  /// of it), credits the payment and reserves the quoted price. ec::payment_required, with what is
  /// missing, if credit and tickets do not cover the whole of it (ec::payment_expired if that is
  /// because the parameters expired); the tickets stay credited then.
  void admit(admission a, callback<admitted> done);

  /// In one step: reserves the quoted price from the credit at params.recipient and takes as many
  /// nonces as tickets are missing, whose value it credits. ec::over_budget beyond budget,
  /// max_total_ev or max_exposure; ec::payment_expired if the parameters have no nonces left.
  void fund(funding f, callback<funded> done);

  /// Ends a job: debits `used` wei (at most what is reserved) and returns the rest to the credit.
  /// `used` is 0 for a failure. The account afterwards. ec::not_found if the job is not open.
  void settle(account_key key, std::string job, rational used, callback<account> done);

  /// Lowers what we believe to have at an orchestrator to what it acknowledges.
  void write_off(address orchestrator, rational to, callback<account> done);

  /// For the redeemer: how this ticket stands now. ec::not_found for an unknown hash.
  void set_redemption(hash32 ticket, redemption state, callback<void> done);

  /// Drops nonces and received tickets of parameters that expired by this L1 block, and
  /// authorisations that expired by now. Whatever expires no later than what was dropped is refused
  /// from now on, even if chain or clock should step back: nothing is taken twice. What expires
  /// later is not, so that a clock that was ahead for a while does no harm. What the tickets were
  /// worth stays, and winners stay whole. To be called now and then; the ledger does it by itself
  /// only when it runs out of room.
  void forget_expired(std::uint64_t l1_block, std::int64_t unix_seconds, callback<void> done);

  // The same, for callers that may wait.
  std::future<result<receipt>> receive(checked_payment p);
  std::future<result<admitted>> admit(admission a);
  std::future<result<funded>> fund(funding f);
  std::future<result<account>> settle(account_key key, std::string job, rational used);
  std::future<result<account>> write_off(address orchestrator, rational to);
  std::future<result<void>> set_redemption(hash32 ticket, redemption state);
  std::future<result<void>> forget_expired(std::uint64_t l1_block, std::int64_t unix_seconds);

  // --- questions; what is durable, from any thread. They read the file: milliseconds, not for an
  // actor's own thread, except balance() and pending_winnings(), which take microseconds.

  result<account> balance(const account_key& key) const;
  result<std::vector<account_line>> accounts() const;
  result<std::vector<open_job>> open_jobs() const;
  /// Face value of a sender's winners that are queued or submitted, wei.
  result<u256> pending_winnings(const address& sender) const;
  /// Oldest first; of one state, or of all.
  result<std::vector<winning_ticket>> winners(std::optional<redemption_state> state,
                                              std::size_t limit) const;
  result<winning_ticket> winner(const hash32& ticket) const;
  /// Newest first.
  result<std::vector<payment_line>> payments(side of, std::size_t limit) const;
  /// The event log from number `first` on, oldest first.
  result<std::vector<event_line>> history(std::uint64_t first, std::size_t limit) const;
  /// Rebuilds every balance from the event log and compares; also that no nonce counts twice, that
  /// credits are worth their tickets and that each winner is queued once. `signatures`: checks
  /// those of received tickets too, as far as they are kept, about 40 us each.
  /// ec::deadline_exceeded if it takes longer.
  result<audit_report> audit(bool signatures = false,
                             time_point deadline = time_point::max()) const;

  ledger_stats stats() const;

  /// See forget_expired(). An orchestrator's time goes on from there, wherever its host's clock is.
  result<forgotten_mark> forgotten() const;

  /// A value of the node's own that has to survive with the money (for example the last block whose
  /// events were taken). At most 4096 bytes; none if it was never set.
  result<std::optional<std::string>> note(std::string_view name) const;
  void set_note(std::string name, std::string value, callback<void> done);
  std::future<result<void>> set_note(std::string name, std::string value);

 private:
  explicit ledger(std::unique_ptr<ledger_core> core);
  std::unique_ptr<ledger_core> core_;
};

}  // namespace lp::payments
