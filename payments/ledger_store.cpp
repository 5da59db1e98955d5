// SPDX-License-Identifier: MIT
#include "payments/ledger_store.hpp"

#include <algorithm>

namespace lp::payments {

namespace {

using sqlite::blob;
using sqlite::database;
using sqlite::null;
using sqlite::statement;
using sqlite::text;

template <class F>
blob raw(const F& fixed) {
  return {fixed.view()};
}

std::optional<account_key> read_key(const statement& row, int at) {
  const std::int64_t of = row.integer(at);
  const auto other = from_bytes<address>(row.bytes(at + 1), "other");
  if ((of != 1 && of != 2) || !other) return std::nullopt;
  return account_key{static_cast<side>(of), *other};
}

std::string sql_select(const char* rest) {
  return std::string("SELECT ") + session_columns + rest;
}

}  // namespace

std::string pack_nonces(const std::vector<std::uint32_t>& nonces) {
  std::string out;
  out.reserve(nonces.size() * 4);
  for (const std::uint32_t n : nonces) {
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(n >> shift));
  }
  return out;
}

std::vector<std::uint32_t> unpack_nonces(std::string_view bytes) {
  std::vector<std::uint32_t> out;
  out.reserve(bytes.size() / 4);
  for (std::size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    std::uint32_t n = 0;
    for (std::size_t k = 0; k < 4; ++k) n = n << 8 | static_cast<std::uint8_t>(bytes[i + k]);
    out.push_back(n);
  }
  return out;
}

void pack_ticket(std::string& out, const ticket_signature& t) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(t.nonce >> shift));
  out.append(t.sig.view());
}

std::vector<ticket_signature> unpack_tickets(std::string_view bytes) {
  std::vector<ticket_signature> out;
  out.reserve(bytes.size() / packed_ticket_length);
  for (; bytes.size() >= packed_ticket_length; bytes.remove_prefix(packed_ticket_length)) {
    ticket_signature t;
    t.nonce = unpack_nonces(bytes.substr(0, 4)).front();
    t.sig = *from_bytes<signature>(bytes.substr(4, signature::length), "signature");
    out.push_back(t);
  }
  return out;
}

struct ledger_store::statements {
  explicit statements(database& db)
      : put_account(db, "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?)"),
        put_job(db, "INSERT INTO jobs VALUES (?, ?, ?, ?)"),
        drop_job(db, "DELETE FROM jobs WHERE side = ? AND other = ? AND job = ?"),
        add_session(db, "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
        put_nonces(db, "UPDATE sessions SET nonces = ? WHERE id = ?"),
        drop_tickets(db, "UPDATE payments SET tickets = x'' WHERE session = ?"),
        put_next_nonce(db, "UPDATE sessions SET next_nonce = ? WHERE id = ?"),
        add_payment(db, "INSERT INTO payments VALUES (?, ?, ?, ?, ?, ?)"),
        add_event(db,
                  "INSERT INTO events (at, kind, side, other, amount, job, payment) "
                  "VALUES (?, ?, ?, ?, ?, ?, ?)"),
        add_winner(db, "INSERT OR IGNORE INTO winners VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
        put_redemption(db,
                       "UPDATE winners SET state = ?, why = ?, tx = ?, attempts = ?, "
                       "not_before = ?, paid = ? WHERE hash = ?"),
        add_authorization(db, "INSERT INTO authorizations VALUES (?, ?)"),
        forget_authorizations(db, "DELETE FROM authorizations WHERE expires <= ?"),
        put_note(db, "INSERT OR REPLACE INTO notes VALUES (?, ?)"),
        find_session(db, sql_select(" FROM sessions s WHERE side = ? AND other = ? "
                                    "AND rand_hash = ?")
                             .c_str()) {}

  statement put_account, put_job, drop_job, add_session, put_nonces, drop_tickets, put_next_nonce,
      add_payment, add_event, add_winner, put_redemption, add_authorization, forget_authorizations,
      put_note, find_session;
};

ledger_store::ledger_store(database& db) : db_(db), sql_(std::make_unique<statements>(db)) {}
ledger_store::~ledger_store() = default;

void ledger_store::put_account(const account_key& key, const account& value) {
  const std::string credit = to_text(value.credit);
  const std::string reserved = to_text(value.reserved);
  sql_->put_account.run(static_cast<int>(key.of), raw(key.other), text{credit}, text{reserved});
}

void ledger_store::put_job(const open_job& job) {
  const std::string reserved = to_text(job.reserved);
  sql_->put_job.run(static_cast<int>(job.account.of), raw(job.account.other), text{job.job},
                    text{reserved});
}

void ledger_store::drop_job(const account_key& key, const std::string& job) {
  sql_->drop_job.run(static_cast<int>(key.of), raw(key.other), text{job});
}

void ledger_store::add_session(const session_row& r) {
  const ticket_params& p = r.params;
  const hash32 face = to_bytes32(p.face_value);
  const hash32 prob = to_bytes32(p.win_prob);
  const hash32 seed = to_bytes32(p.seed);
  const hash32 expiration = to_bytes32(p.expiration_block);
  statement& s = sql_->add_session;
  if (r.nonces) {
    s.run(r.id, static_cast<int>(r.key.of), raw(r.key.other), raw(p.recipient_rand_hash),
          raw(p.recipient), raw(face), raw(prob), raw(seed), raw(expiration), p.made.round,
          raw(p.made.block_hash), raw(r.rand), blob{*r.nonces}, r.next_nonce);
  } else {
    s.run(r.id, static_cast<int>(r.key.of), raw(r.key.other), raw(p.recipient_rand_hash),
          raw(p.recipient), raw(face), raw(prob), raw(seed), raw(expiration), p.made.round,
          raw(p.made.block_hash), raw(r.rand), null{}, r.next_nonce);
  }
}

void ledger_store::put_nonces(std::uint64_t session, const std::string& packed) {
  sql_->put_nonces.run(blob{packed}, session);
}

void ledger_store::forget_session(std::uint64_t session) {
  sql_->put_nonces.run(null{}, session);
  sql_->drop_tickets.run(session);
}

void ledger_store::put_next_nonce(std::uint64_t session, std::uint32_t next) {
  sql_->put_next_nonce.run(next, session);
}

void ledger_store::add_payment(const payment_row& r) {
  const std::string value = to_text(r.value);
  sql_->add_payment.run(r.id, r.session, r.at, r.count, text{value}, blob{r.tickets});
}

void ledger_store::add_event(const event& e, std::int64_t at) {
  const std::string amount = to_text(e.amount);
  sql_->add_event.run(at, static_cast<int>(e.kind), static_cast<int>(e.account.of),
                      raw(e.account.other), text{amount}, text{e.job}, e.payment);
}

bool ledger_store::add_winner(const winning_ticket& w, std::uint64_t session) {
  const hash32 paid = to_bytes32(w.state.paid);
  sql_->add_winner.run(raw(w.hash), session, raw(w.won.sender), w.won.nonce, raw(w.sig), w.received,
                       static_cast<int>(w.state.state), text{w.state.why}, raw(w.state.transaction),
                       w.state.attempts, w.state.not_before, raw(paid));
  return db_.ok() && db_.changes() == 1;
}

bool ledger_store::put_redemption(const hash32& ticket, const redemption& r) {
  const hash32 paid = to_bytes32(r.paid);
  sql_->put_redemption.run(static_cast<int>(r.state), text{r.why}, raw(r.transaction), r.attempts,
                           r.not_before, raw(paid), raw(ticket));
  return db_.ok() && db_.changes() == 1;
}

void ledger_store::add_authorization(const hash32& digest, std::int64_t expires) {
  sql_->add_authorization.run(raw(digest), expires);
}

void ledger_store::forget_authorizations(std::int64_t now) {
  sql_->forget_authorizations.run(now);
}

void ledger_store::put_note(const std::string& name, const std::string& value) {
  sql_->put_note.run(text{name}, blob{value});
}

std::optional<session_row> ledger_store::read_session(const statement& row, int from) {
  const auto key = read_key(row, from + 1);
  const auto rand_hash = from_bytes<hash32>(row.bytes(from + 3), "rand_hash");
  const auto recipient = from_bytes<address>(row.bytes(from + 4), "recipient");
  const auto face = u256_from_bytes(row.bytes(from + 5), "face_value");
  const auto prob = u256_from_bytes(row.bytes(from + 6), "win_prob");
  const auto seed = u256_from_bytes(row.bytes(from + 7), "seed");
  const auto expiration = u256_from_bytes(row.bytes(from + 8), "expiration_block");
  const auto block = from_bytes<hash32>(row.bytes(from + 10), "block_hash");
  const auto rand = from_bytes<hash32>(row.bytes(from + 11), "rand");
  if (!key || !rand_hash || !recipient || !face || !prob || !seed || !expiration || !block ||
      !rand) {
    return std::nullopt;
  }
  session_row out;
  out.id = static_cast<std::uint64_t>(row.integer(from));
  out.key = *key;
  out.params = {*recipient,
                *face,
                *prob,
                *rand_hash,
                *seed,
                *expiration,
                {static_cast<std::uint64_t>(row.integer(from + 9)), *block}};
  out.rand = *rand;
  if (!row.is_null(from + 12)) out.nonces = std::string(row.bytes(from + 12));
  out.next_nonce = static_cast<std::uint32_t>(row.integer(from + 13));
  return out;
}

std::optional<session_row> ledger_store::find_session(const account_key& key,
                                                      const hash32& rand_hash) {
  statement& s = sql_->find_session;
  if (!s.start(static_cast<int>(key.of), raw(key.other), raw(rand_hash)).next()) return {};
  auto out = read_session(s);
  damaged_ |= !out;
  return out;
}

void ledger_store::accounts(const std::function<void(account_line)>& take) {
  statement s(db_, "SELECT side, other, credit, reserved FROM accounts");
  s.start();
  while (s.next()) {
    const auto key = read_key(s, 0);
    const auto credit = parse_rational(s.bytes(2), "credit");
    const auto reserved = parse_rational(s.bytes(3), "reserved");
    damaged_ |= !key || !credit || !reserved;
    if (!damaged_) take({*key, {*credit, *reserved}});
  }
}

void ledger_store::jobs(const std::function<void(open_job)>& take) {
  statement s(db_, "SELECT side, other, job, reserved FROM jobs");
  s.start();
  while (s.next()) {
    const auto key = read_key(s, 0);
    const auto reserved = parse_rational(s.bytes(3), "reserved");
    damaged_ |= !key || !reserved;
    if (!damaged_) take({*key, std::string(s.bytes(2)), *reserved});
  }
}

void ledger_store::sessions(const std::function<void(session_row)>& take) {
  statement s(db_, sql_select(" FROM sessions s").c_str());
  s.start();
  while (s.next()) {
    auto row = read_session(s);
    damaged_ |= !row;
    if (row) take(std::move(*row));
  }
}

void ledger_store::payments(const std::function<void(payment_row)>& take) {
  statement s(db_, "SELECT id, session, at, count, value, tickets FROM payments ORDER BY id");
  s.start();
  while (s.next()) {
    const auto value = parse_rational(s.bytes(4), "value");
    damaged_ |= !value;
    if (!value) continue;
    take({static_cast<std::uint64_t>(s.integer(0)), static_cast<std::uint64_t>(s.integer(1)),
          s.integer(2), static_cast<std::uint64_t>(s.integer(3)), *value, std::string(s.bytes(5))});
  }
}

void ledger_store::events(std::uint64_t first, std::size_t limit,
                          const std::function<void(event_line)>& take) {
  statement s(db_,
              "SELECT id, at, kind, side, other, amount, job, payment FROM events WHERE id >= ? "
              "ORDER BY id LIMIT ?");
  s.start(first, static_cast<std::int64_t>(std::min<std::size_t>(limit, INT64_MAX)));
  while (s.next()) {
    const auto key = read_key(s, 3);
    const auto amount = parse_rational(s.bytes(5), "amount");
    damaged_ |= !key || !amount;
    if (!key || !amount) continue;
    take({static_cast<std::uint64_t>(s.integer(0)),
          s.integer(1),
          {static_cast<event_kind>(s.integer(2)), *key, *amount, std::string(s.bytes(6)),
           static_cast<std::uint64_t>(s.integer(7))}});
  }
}

void ledger_store::authorizations(const std::function<void(hash32, std::int64_t)>& take) {
  statement s(db_, "SELECT digest, expires FROM authorizations");
  s.start();
  while (s.next()) {
    const auto digest = from_bytes<hash32>(s.bytes(0), "digest");
    damaged_ |= !digest;
    if (digest) take(*digest, s.integer(1));
  }
}

}  // namespace lp::payments
