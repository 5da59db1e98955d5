// SPDX-License-Identifier: MIT
#include "payments/ledger_state.hpp"

#include <algorithm>

namespace lp::payments {

namespace {

constexpr std::size_t longest_note = 4096;
constexpr std::size_t longest_job = 200;

error refusal(std::string why) {
  return {ec::payment_required, std::move(why), {}};
}

}  // namespace

result<void> ledger_state::load() {
  book_ = {};
  dirty_accounts_.clear();
  sessions_.clear();
  sessions_of_.clear();
  dirty_sessions_.clear();
  authorizations_.clear();
  swept_ = {};
  doubted_.clear();
  store_.accounts([&](const account_line& a) { book_.put(a.key, a.balance); });
  store_.jobs([&](open_job j) { book_.put(std::move(j)); });
  store_.sessions([&](const session_row& row) {
    if (row.key.of != side::incoming || !row.nonces) return;
    sessions_[row.params.recipient_rand_hash] = {row.id, row.key.other, row.params.expiration_block,
                                                 unpack_nonces(*row.nonces), false};
    ++sessions_of_[row.key.other];
  });
  store_.authorizations(
      [&](const hash32& digest, std::int64_t expires) { authorizations_[digest] = expires; });
  sqlite::database& db = store_.db();
  const auto next = [&](const char* sql) { return static_cast<std::uint64_t>(db.scalar(sql)) + 1; };
  next_session_ = next("SELECT max(id) FROM sessions");
  next_payment_ = next("SELECT max(id) FROM payments");
  read_forgotten();
  if (store_.damaged()) return fail(ec::bad_file, "the ledger holds a value that is malformed");
  return db.status();
}

// 8 bytes each: L1 block and Unix seconds.
forgotten_mark ledger_state::read_mark(std::string_view note) {
  if (note.size() != 16) return {};
  const auto number = [&](std::size_t at) {
    return static_cast<std::uint64_t>(*u256_from_bytes(note.substr(at, 8), "forgotten"));
  };
  return {number(0), static_cast<std::int64_t>(number(8))};
}

void ledger_state::read_forgotten() {
  forgotten_ = {};
  sqlite::statement note(store_.db(), "SELECT value FROM notes WHERE name = ?");
  if (note.start(sqlite::text{forgotten_note}).next()) forgotten_ = read_mark(note.bytes(0));
}

void ledger_state::write_forgotten() {
  const auto bytes = [](std::uint64_t n) { return to_bytes32(u256(n)).str().substr(24); };
  store_.put_note(forgotten_note, bytes(forgotten_.l1_block) +
                                      bytes(static_cast<std::uint64_t>(forgotten_.unix_seconds)));
}

void ledger_state::record(const event& e) {
  store_.add_event(e, now_);
  dirty_accounts_.insert(e.account);
}

void ledger_state::flush() {
  for (const account_key& key : dirty_accounts_) store_.put_account(key, book_.find(key));
  dirty_accounts_.clear();
  for (session* s : dirty_sessions_) {
    store_.put_nonces(s->id, pack_nonces(s->nonces));
    s->dirty = false;
  }
  dirty_sessions_.clear();
}

bool ledger_state::room_for(const account_key& key) const {
  const auto& all = book_.accounts();
  return all.size() < options_.max_accounts || all.count(key) > 0;
}

void ledger_state::add_session_row(std::uint64_t id, const checked_payment& p, bool with_nonces) {
  session_row row;
  row.id = id;
  row.key = {side::incoming, p.sender};
  row.params = p.params;
  row.rand = p.recipient_rand;
  if (with_nonces) row.nonces = std::string();
  store_.add_session(row);
}

ledger_state::session* ledger_state::open_session(const checked_payment& p,
                                                  std::optional<error>& why) {
  if (const auto at = sessions_.find(p.params.recipient_rand_hash); at != sessions_.end()) {
    return &at->second;
  }
  const auto refuse = [&](std::string text) {
    why = error{ec::busy, std::move(text), {}};
    return nullptr;
  };
  // Parameters that were over once leave a row without nonces if something was won by them: they
  // stay over, though chain or clock may have stepped back.
  if (store_.find_session({side::incoming, p.sender}, p.params.recipient_rand_hash)) {
    why = error{ec::payment_expired, "TicketParams expired before", {}};
    return nullptr;
  }
  if (!room_for({side::incoming, p.sender})) return refuse("no room for another sender");
  const auto in_use = sessions_of_.find(p.sender);
  const bool full =
      sessions_.size() >= options_.max_sessions ||
      (in_use != sessions_of_.end() && in_use->second >= options_.max_sessions_per_sender);
  if (full && p.l1_block > swept_.l1_block) (void)forget_expired(p.l1_block, swept_.unix_seconds);
  if (sessions_.size() >= options_.max_sessions) {
    return refuse("no room for another set of ticket parameters");
  }
  std::size_t& of_sender = sessions_of_[p.sender];
  if (of_sender >= options_.max_sessions_per_sender) {
    return refuse("too many sets of ticket parameters are in use by this sender; go on with those");
  }
  ++of_sender;
  session& s = sessions_[p.params.recipient_rand_hash];
  s = {next_session_++, p.sender, p.params.expiration_block, {}, false};
  add_session_row(s.id, p, true);
  return &s;
}

// Each nonce once, in any order, and only so many.
std::optional<error> ledger_state::take_nonce(session& s, std::uint32_t nonce) const {
  const auto at = std::lower_bound(s.nonces.begin(), s.nonces.end(), nonce);
  if (at != s.nonces.end() && *at == nonce) {
    return refusal(fmt::format("invalid ticket senderNonce: already seen ({})", nonce));
  }
  if (s.nonces.size() >= options_.max_nonces) {
    return refusal(
        fmt::format("invalid ticket senderNonce: too many values, {} tickets are the "
                    "most for one set of parameters",
                    options_.max_nonces));
  }
  s.nonces.insert(at, nonce);
  return std::nullopt;
}

void ledger_state::queue_winner(const checked_payment& p, const checked_ticket& t, receipt& r,
                                session* known) {
  std::uint64_t id = known != nullptr ? known->id : 0;
  if (id == 0) {
    const auto row = store_.find_session({side::incoming, p.sender}, p.params.recipient_rand_hash);
    id = row ? row->id : next_session_++;
    if (!row) add_session_row(id, p, false);
  }
  winning_ticket w;
  w.won = make_ticket(p.params, p.sender, t.signed_by_sender.nonce);
  w.hash = ticket_hash(w.won);
  w.sig = t.signed_by_sender.sig;
  w.recipient_rand = p.recipient_rand;
  w.received = now_ / 1000;
  if (store_.add_winner(w, id)) ++r.winners;
}

// The reference's order for each ticket: win, nonce, expiry. A winner is queued whatever comes
// after; the first ticket that is refused ends the credit.
result<receipt> ledger_state::receive(const checked_payment& p) {
  receipt r;
  const bool expired = p.params.expiration_block <= std::max(p.l1_block, forgotten_.l1_block);
  session* s = expired ? nullptr : open_session(p, r.stopped_by);
  std::string packed;
  for (const checked_ticket& t : p.tickets) {
    if (t.won) queue_winner(p, t, r, s);
    if (r.stopped_by) continue;
    if (s != nullptr) {
      r.stopped_by = take_nonce(*s, t.signed_by_sender.nonce);
    } else {
      r.stopped_by = error{ec::payment_expired,
                           fmt::format("TicketParams expired in block {}, now is {}",
                                       to_text(p.params.expiration_block), p.l1_block),
                           {}};
    }
    if (r.stopped_by) continue;
    pack_ticket(packed, t.signed_by_sender);
    ++r.accepted;
  }
  if (!r.stopped_by) r.stopped_by = p.stopped_by;
  const account_key key{side::incoming, p.sender};
  if (r.accepted > 0) {
    if (!s->dirty) dirty_sessions_.push_back(s);
    s->dirty = true;
    r.payment = next_payment_++;
    const auto credited = book_.credit(key, p.ev * r.accepted, r.payment);
    if (!credited) return fail(credited.error());
    r.credited = credited->amount;
    store_.add_payment({r.payment, s->id, now_, r.accepted, r.credited, std::move(packed)});
    record(*credited);
  }
  r.credit = book_.find(key).credit;
  return r;
}

result<rational> ledger_state::reserve(const account_key& key, const std::string& job,
                                       const rational& quoted, const receipt& paid) {
  const auto held = book_.reserve(key, job, quoted);
  if (!held) {
    error why = held.error();
    if (why.code == ec::payment_required && paid.stopped_by) {
      if (paid.stopped_by->code == ec::payment_expired) why.code = ec::payment_expired;
      why.message +=
          fmt::format("; {} tickets were taken, then: {}", paid.accepted, paid.stopped_by->message);
    }
    return fail(std::move(why));
  }
  record(*held);
  store_.put_job({key, job, held->amount});
  return held->amount;
}

result<admitted> ledger_state::admit(const admission& a) {
  const job_authorization& by = a.authorization;
  const hash32 digest = authorization_digest(by);
  if (authorizations_.count(digest) > 0) {
    return fail(ec::unauthorized, "authorisation: it was used before");
  }
  if (by.expires_at <= std::max(a.unix_seconds, forgotten_.unix_seconds)) {
    return fail(ec::payment_expired, "authorisation: it has expired");
  }
  if (by.job.size() > longest_job)
    return fail(ec::unauthorized, "authorisation: the job is named too long");
  if (a.payment && a.payment->sender != by.sender) {
    return fail(ec::unauthorized, "authorisation: the payment is of another sender");
  }
  if (authorizations_.size() >= options_.max_authorizations &&
      a.unix_seconds > swept_.unix_seconds) {
    (void)forget_expired(swept_.l1_block, a.unix_seconds);
  }
  if (authorizations_.size() >= options_.max_authorizations) {
    return fail(ec::busy, "too many jobs were admitted of late; try again in a while");
  }
  authorizations_[digest] = by.expires_at;
  store_.add_authorization(digest, by.expires_at);
  admitted out;
  const account_key key{side::incoming, by.sender};
  if (a.payment) {
    auto paid = receive(*a.payment);
    if (!paid) return fail(paid.error());
    out.paid = std::move(*paid);
  }
  const auto held = reserve(key, by.job, a.quoted, out.paid);
  if (!held) return fail(held.error());
  out.reserved = *held;
  out.paid.credit = book_.find(key).credit;
  return out;
}

result<account> ledger_state::settle(const account_key& key, const std::string& job,
                                     const rational& used) {
  const auto events = book_.settle(key, job, used);
  if (!events) return fail(events.error());
  for (const event& e : *events) record(e);
  store_.drop_job(key, job);
  return book_.find(key);
}

void ledger_state::settle_lost_jobs() {
  const auto lost = book_.jobs();
  for (const auto& [key, job] : lost) {
    const rational used = job.account.of == side::outgoing ? job.reserved : rational(0);
    (void)settle(job.account, job.job, used);
  }
}

result<account> ledger_state::write_off(const address& orchestrator, const rational& to) {
  const account_key key{side::outgoing, orchestrator};
  const auto events = book_.write_off(key, to);
  if (!events) return fail(events.error());
  for (const event& e : *events) record(e);
  if (!events->empty()) doubted_.erase(orchestrator);
  return book_.find(key);
}

result<void> ledger_state::set_redemption(const hash32& ticket, const redemption& state) {
  if (store_.put_redemption(ticket, state) || !store_.db().ok()) return {};
  return fail(ec::not_found, fmt::format("no winning ticket {}", ticket.hex()));
}

result<void> ledger_state::forget_expired(std::uint64_t l1_block, std::int64_t unix_seconds) {
  swept_ = {l1_block, unix_seconds};
  flush();
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    if (at->second.expiration > std::max(l1_block, forgotten_.l1_block)) {
      ++at;
      continue;
    }
    // It is no later than a block: it fits.
    forgotten_.l1_block =
        std::max(forgotten_.l1_block, static_cast<std::uint64_t>(at->second.expiration));
    store_.forget_session(at->second.id);
    const auto of = sessions_of_.find(at->second.sender);
    if (--of->second == 0) sessions_of_.erase(of);
    at = sessions_.erase(at);
  }
  const std::int64_t over = std::max(unix_seconds, forgotten_.unix_seconds);
  std::erase_if(authorizations_, [&](const auto& entry) {
    if (entry.second > over) return false;
    forgotten_.unix_seconds = std::max(forgotten_.unix_seconds, entry.second);
    return true;
  });
  store_.forget_authorizations(forgotten_.unix_seconds);
  write_forgotten();
  return {};
}

result<void> ledger_state::set_note(const std::string& name, const std::string& value) {
  if (name.empty() || name.size() > 100 || value.size() > longest_note || name == forgotten_note) {
    return fail(ec::bad_request, "a note needs a name of 1 to 100 bytes and at most 4096 bytes");
  }
  store_.put_note(name, value);
  return {};
}

}  // namespace lp::payments
