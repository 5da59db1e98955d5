// SPDX-License-Identifier: MIT
#include "payments/ledger_schema.hpp"

#include <string>

#include <fmt/core.h>

namespace lp::payments {

namespace {

// "LPLG", so that no other program's file is taken for a ledger.
constexpr std::int64_t application = 0x4c504c47;

// Amounts are exact rationals as text, 256-bit integers 32 bytes big-endian, addresses 20 bytes.
// A step that was released is never changed: another one follows it.
constexpr const char* steps[] = {
    // 1
    R"(
CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE accounts (
  side INTEGER NOT NULL, other BLOB NOT NULL, credit TEXT NOT NULL, reserved TEXT NOT NULL,
  PRIMARY KEY (side, other)) WITHOUT ROWID;
CREATE TABLE jobs (
  side INTEGER NOT NULL, other BLOB NOT NULL, job TEXT NOT NULL, reserved TEXT NOT NULL,
  PRIMARY KEY (side, other, job)) WITHOUT ROWID;
-- One set of ticket parameters. Incoming: rand and the nonces seen (4 bytes big-endian each,
-- ascending; NULL once they are over). Outgoing: the next nonce.
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY, side INTEGER NOT NULL, other BLOB NOT NULL, rand_hash BLOB NOT NULL,
  recipient BLOB NOT NULL, face_value BLOB NOT NULL, win_prob BLOB NOT NULL, seed BLOB NOT NULL,
  expiration_block BLOB NOT NULL, round INTEGER NOT NULL, block_hash BLOB NOT NULL,
  rand BLOB, nonces BLOB, next_nonce INTEGER NOT NULL,
  UNIQUE (side, other, rand_hash));
-- Incoming: 69 bytes a ticket, nonce and signature. Outgoing: first nonce and count, 4 bytes each;
-- the signatures are deterministic.
CREATE TABLE payments (
  id INTEGER PRIMARY KEY, session INTEGER NOT NULL REFERENCES sessions (id), at INTEGER NOT NULL,
  count INTEGER NOT NULL, value TEXT NOT NULL, tickets BLOB NOT NULL);
CREATE TABLE authorizations (digest BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE winners (
  hash BLOB PRIMARY KEY, session INTEGER NOT NULL REFERENCES sessions (id), sender BLOB NOT NULL,
  nonce INTEGER NOT NULL, sig BLOB NOT NULL, received INTEGER NOT NULL, state INTEGER NOT NULL,
  why TEXT NOT NULL, tx BLOB NOT NULL, attempts INTEGER NOT NULL, not_before INTEGER NOT NULL,
  paid BLOB NOT NULL);
CREATE INDEX winners_by_state ON winners (state, received);
CREATE INDEX winners_pending ON winners (sender) WHERE state < 3;
CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, kind INTEGER NOT NULL,
  side INTEGER NOT NULL, other BLOB NOT NULL, amount TEXT NOT NULL, job TEXT NOT NULL,
  payment INTEGER NOT NULL);
CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN
  SELECT RAISE(ABORT, 'events are only ever appended'); END;
CREATE TRIGGER events_remain BEFORE DELETE ON events BEGIN
  SELECT RAISE(ABORT, 'events are only ever appended'); END;
)",
    // 2
    R"(
CREATE TABLE notes (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
)",
    // 3: tickets of parameters that are over are dropped, count and value stay; winners have their
    // own row.
    R"(
CREATE INDEX payments_by_session ON payments (session);
UPDATE payments SET tickets = x'' WHERE session IN
  (SELECT id FROM sessions WHERE side = 1 AND nonces IS NULL);
)",
};

static_assert(std::size(steps) == ledger_version);

}  // namespace

result<int> find_version(sqlite::database& db) {
  const std::int64_t owner = db.scalar("PRAGMA application_id");
  const std::int64_t found = db.scalar("PRAGMA user_version");
  if (!db.ok()) return fail(db.failure());
  const bool fresh =
      owner == 0 && found == 0 && db.scalar("SELECT count(*) FROM sqlite_schema") == 0;
  if (!fresh && owner != application) {
    return fail(ec::bad_file, "the ledger's file is a database of another program");
  }
  if (found > ledger_version) {
    return fail(ec::bad_file, fmt::format("the ledger's file has version {}, this program knows "
                                          "versions up to {}: use a newer program",
                                          found, ledger_version));
  }
  if (!db.ok()) return fail(db.failure());
  return static_cast<int>(found);
}

result<void> migrate(sqlite::database& db, int version) {
  const auto found = find_version(db);
  if (!found) return fail(found.error());
  for (auto step = *found; step < version; ++step) {
    db.exec("BEGIN IMMEDIATE");
    db.exec(steps[step]);
    db.exec(fmt::format("PRAGMA user_version = {}", step + 1).c_str());
    db.exec(fmt::format("PRAGMA application_id = {}", application).c_str());
    db.exec("COMMIT");
    if (!db.ok()) return db.status();
  }
  return db.status();
}

}  // namespace lp::payments
