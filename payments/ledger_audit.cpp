// SPDX-License-Identifier: MIT
#include "payments/ledger_audit.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "payments/ledger_core.hpp"
#include "payments/ledger_store.hpp"

namespace lp::payments {

namespace {

constexpr std::size_t most_problems = 100;

class auditor {
 public:
  auditor(sqlite::database& db, bool signatures)
      : db_(db), store_(db), check_signatures_(signatures) {}

  audit_report run() {
    replay_events();
    compare_balances();
    read_sessions();
    check_payments();
    check_winners();
    check_nonces();
    if (store_.damaged()) problem("a value in the file is malformed");
    return std::move(report_);
  }

 private:
  struct session {
    session_row row;
    std::vector<std::uint32_t> nonces;  ///< of all its payments
  };

  void problem(std::string text) {
    if (report_.problems.size() < most_problems) report_.problems.push_back(std::move(text));
  }

  void replay_events() {
    store_.events(0, SIZE_MAX, [&](const event_line& line) {
      const event& e = line.what;
      if (line.number != ++report_.events) {
        problem(fmt::format("event {} is missing", report_.events));
      }
      report_.events = line.number;
      if (const auto done = book_.apply(e); !done) {
        problem(fmt::format("event {}: {}", line.number, done.error().message));
      }
      if (e.kind == event_kind::tickets && !credits_.emplace(e.payment, e).second) {
        problem(fmt::format("event {}: payment {} is credited twice", line.number, e.payment));
      }
    });
  }

  void compare_balances() {
    auto expected = book_.accounts();
    store_.accounts([&](const account_line& line) {
      const account found = book_.find(line.key);
      expected.erase(line.key);
      if (found.credit == line.balance.credit && found.reserved == line.balance.reserved) return;
      problem(fmt::format("{} {}: the balance is {} and {} reserved, the events make {} and {}",
                          to_string(line.key.of), to_text(line.key.other),
                          to_text(line.balance.credit), to_text(line.balance.reserved),
                          to_text(found.credit), to_text(found.reserved)));
    });
    for (const auto& [key, value] : expected) {
      if (value.credit == 0 && value.reserved == 0) continue;
      problem(fmt::format("{} {}: there are events and no balance", to_string(key.of),
                          to_text(key.other)));
    }
    auto jobs = book_.jobs();
    store_.jobs([&](const open_job& job) {
      const auto found = jobs.find({job.account, job.job});
      if (found == jobs.end() || found->second.reserved != job.reserved) {
        problem(fmt::format("job {} holds what the events do not say", job.job));
      }
      if (found != jobs.end()) jobs.erase(found);
    });
    for (const auto& [key, job] : jobs) {
      problem(fmt::format("job {} is under way by the events alone", job.job));
    }
  }

  void read_sessions() {
    store_.sessions([&](session_row row) {
      const std::uint64_t id = row.id;
      sessions_[id] = {std::move(row), {}};
    });
  }

  void check_payments() {
    store_.payments([&](const payment_row& p) {
      if (p.id != ++report_.payments)
        problem(fmt::format("payment {} is missing", report_.payments));
      report_.payments = p.id;
      report_.tickets += p.count;
      const auto at = sessions_.find(p.session);
      if (at == sessions_.end()) return problem(fmt::format("payment {} has no parameters", p.id));
      session& s = at->second;
      check_value(p, s);
      if (s.row.key.of == side::incoming) {
        check_received(p, s);
      } else {
        check_sent(p, s);
      }
    });
    for (const auto& [id, e] : credits_) {
      problem(fmt::format("payment {} was credited and is not there", id));
    }
  }

  // Rounding (bounded_credit()) may take off less than 2^-60 wei.
  void check_value(const payment_row& p, const session& s) {
    const rational full = expected_value(s.row.params) * p.count;
    if (p.value > full || full - p.value > rational(1, integer(1) << 60)) {
      problem(fmt::format("payment {} is worth {} wei and counted as {}", p.id, to_text(full),
                          to_text(p.value)));
    }
    const auto credited = credits_.find(p.id);
    if (credited == credits_.end())
      return problem(fmt::format("payment {} was never credited", p.id));
    if (credited->second.amount != p.value || credited->second.account != s.row.key) {
      problem(fmt::format("payment {} was credited with another amount or to another", p.id));
    }
    credits_.erase(credited);
  }

  void check_received(const payment_row& p, session& s) {
    // Parameters that are over: their tickets were dropped (ledger::forget_expired()).
    if (!s.row.nonces && p.tickets.empty()) return;
    const auto tickets = unpack_tickets(p.tickets);
    if (tickets.size() != p.count || p.tickets.size() != p.count * packed_ticket_length) {
      problem(fmt::format("payment {} says {} tickets and has {}", p.id, p.count, tickets.size()));
    }
    for (const ticket_signature& t : tickets) {
      s.nonces.push_back(t.nonce);
      const ticket whole = make_ticket(s.row.params, s.row.key.other, t.nonce);
      if (wins(whole, t.sig, s.row.rand)) won_.insert(ticket_hash(whole));
      if (!check_signatures_) continue;
      const auto signer = recover_message(ticket_hash(whole), t.sig);
      if (!signer || *signer != whole.sender) {
        problem(fmt::format("payment {}: ticket {} is not signed by its sender", p.id, t.nonce));
      }
    }
  }

  void check_sent(const payment_row& p, session& s) {
    const auto range = unpack_nonces(p.tickets);
    if (range.size() != 2 || range[1] != p.count) {
      return problem(fmt::format("payment {} does not say which tickets it has", p.id));
    }
    for (std::uint32_t i = 0; i < range[1]; ++i) s.nonces.push_back(range[0] + i);
  }

  void check_winners() {
    sqlite::statement s(db_, "SELECT hash, session, nonce, sig FROM winners");
    s.start();
    while (s.next()) {
      ++report_.winners;
      const auto hash = from_bytes<hash32>(s.bytes(0), "hash");
      const auto sig = from_bytes<signature>(s.bytes(3), "sig");
      const auto at = sessions_.find(static_cast<std::uint64_t>(s.integer(1)));
      if (!hash || !sig || at == sessions_.end()) {
        problem("a winning ticket is malformed");
        continue;
      }
      const session_row& row = at->second.row;
      const ticket t =
          make_ticket(row.params, row.key.other, static_cast<std::uint32_t>(s.integer(2)));
      if (ticket_hash(t) != *hash || !wins(t, *sig, row.rand)) {
        problem(fmt::format("winning ticket {} did not win", hash->hex()));
      }
      won_.erase(*hash);
    }
    for (const hash32& hash : won_) {
      problem(fmt::format("ticket {} won and is not in the queue", hash.hex()));
    }
  }

  void check_nonces() {
    for (auto& [id, s] : sessions_) {
      std::sort(s.nonces.begin(), s.nonces.end());
      if (std::adjacent_find(s.nonces.begin(), s.nonces.end()) != s.nonces.end()) {
        problem(fmt::format("a ticket of parameters {} is counted twice",
                            s.row.params.recipient_rand_hash.hex()));
      }
      const bool incoming = s.row.key.of == side::incoming;
      if (incoming && s.row.nonces && unpack_nonces(*s.row.nonces) != s.nonces) {
        problem(fmt::format("the nonces of parameters {} are not those of their tickets",
                            s.row.params.recipient_rand_hash.hex()));
      }
      if (!incoming && !s.nonces.empty() && s.nonces.back() >= s.row.next_nonce) {
        problem(fmt::format("the next ticket of parameters {} was sent already",
                            s.row.params.recipient_rand_hash.hex()));
      }
    }
  }

  sqlite::database& db_;
  ledger_store store_;
  bool check_signatures_;
  audit_report report_;
  balance_book book_;
  std::unordered_map<std::uint64_t, event> credits_;
  std::map<std::uint64_t, session> sessions_;
  std::unordered_set<hash32> won_;
};

}  // namespace

result<audit_report> audit_ledger(sqlite::database& db, bool signatures) {
  db.exec("BEGIN");
  auto report = auditor(db, signatures).run();
  db.exec("COMMIT");
  if (!db.ok()) return fail(db.failure());
  return report;
}

// A connection of its own: an audit takes long, and other questions go on.
result<audit_report> ledger::audit(bool signatures, time_point deadline) const {
  auto db = sqlite::database::open(core_->options().file, true);
  if (!db) return fail(db.error());
  if (deadline != time_point::max()) (*db)->stop_at(deadline);
  return audit_ledger(**db, signatures);
}

}  // namespace lp::payments
