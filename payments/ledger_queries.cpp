// SPDX-License-Identifier: MIT
// The ledger's questions, each on the reading connection.
#include <algorithm>

#include "payments/ledger.hpp"
#include "payments/ledger_core.hpp"
#include "payments/ledger_store.hpp"

namespace lp::payments {

namespace {

using sqlite::blob;
using sqlite::database;
using sqlite::statement;
using sqlite::text;

tl::unexpected<error> damaged() {
  return fail(ec::bad_file, "the ledger holds a value that is malformed");
}

constexpr std::size_t most_rows = 1'000'000;

std::int64_t limited(std::size_t limit) {
  return static_cast<std::int64_t>(std::min(limit, most_rows));
}

// Columns of winners from `at` on, behind those of their session.
constexpr const char* winner_columns =
    ", w.hash, w.nonce, w.sig, w.received, w.state, w.why, w.tx, w.attempts, w.not_before, w.paid "
    "FROM winners w JOIN sessions s ON s.id = w.session ";

std::optional<winning_ticket> read_winner(const statement& row) {
  constexpr int at = 14;
  const auto session = ledger_store::read_session(row);
  const auto hash = from_bytes<hash32>(row.bytes(at), "hash");
  const auto sig = from_bytes<signature>(row.bytes(at + 2), "sig");
  const std::int64_t state = row.integer(at + 4);
  const auto transaction = from_bytes<hash32>(row.bytes(at + 6), "tx");
  const auto paid = u256_from_bytes(row.bytes(at + 9), "paid");
  if (!session || !hash || !sig || !transaction || !paid || state < 1 || state > 4) return {};
  winning_ticket out;
  out.hash = *hash;
  out.won = make_ticket(session->params, session->key.other,
                        static_cast<std::uint32_t>(row.integer(at + 1)));
  out.sig = *sig;
  out.recipient_rand = session->rand;
  out.expiration_block = session->params.expiration_block;
  out.received = row.integer(at + 3);
  out.state.state = static_cast<redemption_state>(state);
  out.state.why = std::string(row.bytes(at + 5));
  out.state.transaction = *transaction;
  out.state.attempts = static_cast<std::uint32_t>(row.integer(at + 7));
  out.state.not_before = row.integer(at + 8);
  out.state.paid = *paid;
  return out;
}

std::string winners_sql(const char* rest) {
  return std::string("SELECT ") + session_columns + winner_columns + rest;
}

template <class T>
result<T> checked(database& db, T value) {
  if (!db.ok()) return fail(db.failure());
  return value;
}

}  // namespace

result<account> ledger::balance(const account_key& key) const {
  return core_->ask([&](database& db) -> result<account> {
    statement s(db, "SELECT credit, reserved FROM accounts WHERE side = ? AND other = ?");
    if (!s.start(static_cast<int>(key.of), blob{key.other.view()}).next()) {
      return checked(db, account{});
    }
    const auto credit = parse_rational(s.bytes(0), "credit");
    const auto reserved = parse_rational(s.bytes(1), "reserved");
    if (!credit || !reserved) return damaged();
    return account{*credit, *reserved};
  });
}

result<std::vector<account_line>> ledger::accounts() const {
  return core_->ask([](database& db) -> result<std::vector<account_line>> {
    ledger_store store(db);
    std::vector<account_line> out;
    store.accounts([&](account_line line) { out.push_back(std::move(line)); });
    if (store.damaged()) return damaged();
    return checked(db, std::move(out));
  });
}

result<std::vector<open_job>> ledger::open_jobs() const {
  return core_->ask([](database& db) -> result<std::vector<open_job>> {
    ledger_store store(db);
    std::vector<open_job> out;
    store.jobs([&](open_job job) { out.push_back(std::move(job)); });
    if (store.damaged()) return damaged();
    return checked(db, std::move(out));
  });
}

result<u256> ledger::pending_winnings(const address& sender) const {
  return core_->ask([&](database& db) -> result<u256> {
    statement s(db,
                "SELECT s.face_value FROM winners w JOIN sessions s ON s.id = w.session "
                "WHERE w.sender = ? AND w.state < 3");
    s.start(blob{sender.view()});
    integer sum = 0;
    while (s.next()) sum += integer(u256_from_bytes(s.bytes(0), "face_value").value_or(u256(0)));
    if (!db.ok()) return fail(db.failure());
    return static_cast<u256>(std::min(sum, integer(max_u256())));
  });
}

result<std::vector<winning_ticket>> ledger::winners(std::optional<redemption_state> state,
                                                    std::size_t limit) const {
  return core_->ask([&](database& db) -> result<std::vector<winning_ticket>> {
    const int lowest = state ? static_cast<int>(*state) : 1;
    const int highest = state ? static_cast<int>(*state) : 4;
    statement s(
        db,
        winners_sql("WHERE w.state BETWEEN ? AND ? ORDER BY w.received, w.rowid LIMIT ?").c_str());
    s.start(lowest, highest, limited(limit));
    std::vector<winning_ticket> out;
    while (s.next()) {
      auto w = read_winner(s);
      if (!w) return damaged();
      out.push_back(std::move(*w));
    }
    return checked(db, std::move(out));
  });
}

result<winning_ticket> ledger::winner(const hash32& ticket) const {
  return core_->ask([&](database& db) -> result<winning_ticket> {
    statement s(db, winners_sql("WHERE w.hash = ?").c_str());
    if (!s.start(blob{ticket.view()}).next()) {
      if (!db.ok()) return fail(db.failure());
      return fail(ec::not_found, fmt::format("no winning ticket {}", ticket.hex()));
    }
    auto w = read_winner(s);
    if (!w) return damaged();
    return std::move(*w);
  });
}

result<std::vector<payment_line>> ledger::payments(side of, std::size_t limit) const {
  return core_->ask([&](database& db) -> result<std::vector<payment_line>> {
    statement s(db, (std::string("SELECT ") + session_columns +
                     ", p.id, p.at, p.value, p.tickets FROM payments p "
                     "JOIN sessions s ON s.id = p.session WHERE s.side = ? "
                     "ORDER BY p.id DESC LIMIT ?")
                        .c_str());
    s.start(static_cast<int>(of), limited(limit));
    std::vector<payment_line> out;
    while (s.next()) {
      const auto session = ledger_store::read_session(s);
      const auto value = parse_rational(s.bytes(16), "value");
      if (!session || !value) return damaged();
      payment_line line{static_cast<std::uint64_t>(s.integer(14)),
                        of,
                        session->key.other,
                        s.integer(15),
                        session->params,
                        {},
                        *value};
      if (of == side::incoming) {
        for (const auto& t : unpack_tickets(s.bytes(17))) line.nonces.push_back(t.nonce);
      } else if (const auto range = unpack_nonces(s.bytes(17)); range.size() == 2) {
        for (std::uint32_t i = 0; i < range[1]; ++i) line.nonces.push_back(range[0] + i);
      }
      out.push_back(std::move(line));
    }
    return checked(db, std::move(out));
  });
}

result<std::vector<event_line>> ledger::history(std::uint64_t first, std::size_t limit) const {
  return core_->ask([&](database& db) -> result<std::vector<event_line>> {
    ledger_store store(db);
    std::vector<event_line> out;
    store.events(first, std::min(limit, most_rows),
                 [&](event_line line) { out.push_back(std::move(line)); });
    if (store.damaged()) return damaged();
    return checked(db, std::move(out));
  });
}

result<forgotten_mark> ledger::forgotten() const {
  const auto found = note(ledger_state::forgotten_note);
  if (!found) return fail(found.error());
  return ledger_state::read_mark(found->value_or(""));
}

result<std::optional<std::string>> ledger::note(std::string_view name) const {
  return core_->ask([&](database& db) -> result<std::optional<std::string>> {
    statement s(db, "SELECT value FROM notes WHERE name = ?");
    std::optional<std::string> out;
    if (s.start(text{name}).next()) out = std::string(s.bytes(0));
    return checked(db, std::move(out));
  });
}

}  // namespace lp::payments
