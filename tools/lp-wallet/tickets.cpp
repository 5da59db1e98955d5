// SPDX-License-Identifier: MIT
#include <chrono>
#include <filesystem>
#include <thread>

#include <fmt/core.h>
#include <boost/json/array.hpp>

#include "payments/chain/redeemer.hpp"
#include "payments/ledger.hpp"
#include "tools/lp-wallet/amount.hpp"
#include "tools/lp-wallet/commands.hpp"

namespace lp::wallet_tool {

namespace json = boost::json;
using payments::redemption_state;
using payments::winning_ticket;

namespace {

constexpr redemption_state states[] = {redemption_state::queued, redemption_state::submitted,
                                       redemption_state::mined, redemption_state::failed};

// A node makes its ledger, this program never does: a mistyped name would be an empty ledger in
// which everything is well.
result<void> check_ledger(const options& o) {
  namespace fs = std::filesystem;
  std::error_code bad;
  const fs::file_status s = fs::status(o.ledger, bad);
  const char* const hint =
      "name a node's ledger with --ledger or LP_LEDGER: DATA/NODE/"
      "ledger.sqlite, where DATA is [payments] data of its configuration";
  if (fs::is_regular_file(s)) return {};
  if (fs::is_directory(s)) {
    return fail(ec::bad_request, fmt::format("{}: is a folder; {}", o.ledger, hint));
  }
  if (s.type() == fs::file_type::not_found) {
    return fail(ec::not_found, fmt::format("{}: there is no ledger; {}", o.ledger, hint));
  }
  return fail(ec::bad_file,
              fmt::format("{}: {}", o.ledger, bad ? bad.message() : "expected a ledger's file"));
}

result<std::unique_ptr<payments::ledger>> open_ledger(const options& o, bool read_only) {
  if (auto ok = check_ledger(o); !ok) return fail(ok.error());
  payments::ledger_options l;
  l.file = o.ledger;
  l.read_only = read_only;
  // Jobs are the node's business.
  l.settle_lost_jobs = false;
  return payments::ledger::open(std::move(l));
}

json::object brief(const winning_ticket& t) {
  return json::object{{"ticket", t.hash.hex()},
                      {"state", payments::to_string(t.state.state)},
                      {"sender", payments::to_text(t.won.sender)},
                      {"face_value", ether_text(t.won.face_value)},
                      {"paid", ether_text(t.state.paid)},
                      {"why", t.state.why}};
}

json::object whole(const winning_ticket& t) {
  json::object out = brief(t);
  out["recipient"] = payments::to_text(t.won.recipient);
  out["face_value_wei"] = payments::to_text(t.won.face_value);
  out["paid_wei"] = payments::to_text(t.state.paid);
  out["win_prob"] = payments::to_text(t.won.win_prob);
  out["nonce"] = t.won.nonce;
  out["creation_round"] = t.won.made.round;
  out["creation_block_hash"] = "0x" + t.won.made.block_hash.hex();
  out["redeemable_from_block"] = payments::to_text(t.expiration_block);
  out["received"] = t.received;
  out["attempts"] = t.state.attempts;
  out["not_before"] = t.state.not_before;
  out["transaction"] =
      t.state.transaction.is_zero() ? std::string() : "0x" + t.state.transaction.hex();
  return out;
}

std::int64_t unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

answer list_tickets(const options& o, const std::string& state, std::size_t limit) {
  std::optional<redemption_state> wanted;
  for (const redemption_state s : states) {
    if (payments::to_string(s) == state) wanted = s;
  }
  if (!wanted && state != "all") {
    return fail(ec::bad_request, fmt::format("--state: expected all, queued, submitted, mined or "
                                             "failed, not \"{}\"",
                                             state));
  }
  const auto book = open_ledger(o, true);
  if (!book) return fail(book.error());
  const auto found = (*book)->winners(wanted, limit + 1);
  if (!found) return fail(found.error());
  const bool more = found->size() > limit;
  json::array out;
  for (const winning_ticket& t : *found) {
    if (out.size() < limit) out.push_back(brief(t));
  }
  return json::object{{"lists", more ? "winning tickets, oldest first; there are more: see --limit"
                                     : "winning tickets; \"audit\" counts all that came in"},
                      {"tickets", std::move(out)}};
}

answer show_ticket(const options& o, const std::string& hash) {
  const auto wanted = payments::from_hex<payments::hash32>(hash, "ticket");
  if (!wanted) return fail(wanted.error());
  const auto book = open_ledger(o, true);
  if (!book) return fail(book.error());
  const auto found = (*book)->winner(*wanted);
  if (!found) return fail(found.error());
  return whole(*found);
}

answer audit(const options& o, bool signatures) {
  const auto book = open_ledger(o, true);
  if (!book) return fail(book.error());
  const auto report = (*book)->audit(signatures);
  if (!report) return fail(report.error());
  json::array problems;
  for (const std::string& p : report->problems) problems.push_back(json::value(p));
  json::object out{{"ok", report->ok()},           {"events", report->events},
                   {"payments", report->payments}, {"tickets", report->tickets},
                   {"winners", report->winners},   {"problems", std::move(problems)}};
  return out;
}

// Steps until nothing is under way and nothing new can be begun.
answer redeem(const options& o) {
  if (auto ok = check_ledger(o); !ok) return fail(ok.error());
  const auto key = open_key(o);
  if (!key) return fail(key.error());
  const auto c = connect(o);
  if (!c) return fail(c.error());
  const auto book = open_ledger(o, false);
  if (!book) {
    error e = book.error();
    if (e.message.find("uses this ledger") != std::string::npos) {
      e.message += "; a node that runs redeems by itself: see tickets list, or stop it first";
    }
    return fail(std::move(e));
  }
  payments::redeemer worker(**book, c->client, c->where, *key, c->chain_id, c->policy, {});
  payments::redeemer_step total;
  const auto deadline = o.deadline();
  for (bool first = true;; first = false) {
    const auto step = worker.step(unix_now(), deadline, first);
    if (!step) return fail(step.error());
    total.submitted += step->submitted;
    total.mined += step->mined;
    total.failed += step->failed;
    total.postponed += step->postponed;
    total.waiting = step->waiting;
    if (!step->note.empty()) total.note = step->note;
    const bool idle = !step->waiting && step->submitted + step->mined == 0;
    if (idle || clock::now() >= deadline) break;
    if (step->waiting) {
      std::this_thread::sleep_for(std::min(c->policy.poll_interval, remaining(deadline)));
    }
  }
  return json::object{{"submitted", total.submitted}, {"mined", total.mined},
                      {"failed", total.failed},       {"postponed", total.postponed},
                      {"waiting", total.waiting},     {"note", total.note}};
}

}  // namespace lp::wallet_tool
