// SPDX-License-Identifier: MIT
// The rows of the ledger's tables: writing and reading them, without deciding anything.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "payments/ledger.hpp"
#include "payments/sqlite.hpp"

namespace lp::payments {

/// Nonces in a file: 4 bytes big-endian each.
std::string pack_nonces(const std::vector<std::uint32_t>& nonces);
std::vector<std::uint32_t> unpack_nonces(std::string_view bytes);

/// Tickets in a file: nonce, then the signature.
inline constexpr std::size_t packed_ticket_length = 4 + signature::length;
void pack_ticket(std::string& out, const ticket_signature& t);
std::vector<ticket_signature> unpack_tickets(std::string_view bytes);

struct session_row {
  std::uint64_t id = 0;
  account_key key;
  ticket_params params;
  hash32 rand;                        ///< incoming
  std::optional<std::string> nonces;  ///< incoming, packed; none once forgotten
  std::uint32_t next_nonce = 0;       ///< outgoing
};

struct payment_row {
  std::uint64_t id = 0;
  std::uint64_t session = 0;
  std::int64_t at = 0;
  std::uint64_t count = 0;
  rational value;
  std::string tickets;
};

struct winner_row {
  winning_ticket ticket;
  std::uint64_t session = 0;
};

/// Statements prepared once, for the thread of `db`. Failures are in db.status(); values that do
/// not parse are failures too (see damaged()).
class ledger_store {
 public:
  explicit ledger_store(sqlite::database& db);
  ~ledger_store();

  sqlite::database& db() { return db_; }

  void put_account(const account_key& key, const account& value);
  void put_job(const open_job& job);
  void drop_job(const account_key& key, const std::string& job);
  void add_session(const session_row& row);
  void put_nonces(std::uint64_t session, const std::string& packed);
  /// A received set of parameters is over: its nonces and tickets are of no use any more.
  void forget_session(std::uint64_t session);
  void put_next_nonce(std::uint64_t session, std::uint32_t next);
  void add_payment(const payment_row& row);
  void add_event(const event& e, std::int64_t at);
  /// False if the ticket is there already.
  bool add_winner(const winning_ticket& w, std::uint64_t session);
  /// False for an unknown ticket.
  bool put_redemption(const hash32& ticket, const redemption& r);
  void add_authorization(const hash32& digest, std::int64_t expires);
  void forget_authorizations(std::int64_t now);
  void put_note(const std::string& name, const std::string& value);

  std::optional<session_row> find_session(const account_key& key, const hash32& rand_hash);

  // Calls `take` for each row; false from it ends the loop.
  void accounts(const std::function<void(account_line)>& take);
  void jobs(const std::function<void(open_job)>& take);
  void sessions(const std::function<void(session_row)>& take);
  void payments(const std::function<void(payment_row)>& take);
  void events(std::uint64_t first, std::size_t limit, const std::function<void(event_line)>& take);
  void authorizations(const std::function<void(hash32 digest, std::int64_t expires)>& take);

  /// Reads back what add_session() wrote, from 13 columns in the table's order.
  static std::optional<session_row> read_session(const sqlite::statement& row, int from = 0);

  /// True if a value in the file did not parse.
  bool damaged() const { return damaged_; }

 private:
  struct statements;
  sqlite::database& db_;
  std::unique_ptr<statements> sql_;
  bool damaged_ = false;
};

/// The columns that read_session() takes, of table s.
inline constexpr const char* session_columns =
    "s.id, s.side, s.other, s.rand_hash, s.recipient, s.face_value, s.win_prob, s.seed, "
    "s.expiration_block, s.round, s.block_hash, s.rand, s.nonces, s.next_nonce";

}  // namespace lp::payments
