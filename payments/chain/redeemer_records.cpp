// SPDX-License-Identifier: MIT
// The part of the redeemer that writes to the ledger and finds itself again there.
#include <algorithm>

#include <fmt/core.h>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "payments/chain/redeemer.hpp"
#include "runtime/base/log.hpp"

namespace lp::payments {

namespace json = boost::json;

namespace {

constexpr std::string_view outbox_note = "redeemer.outbox";
constexpr std::size_t most_looked_at = 10'000;
constexpr std::uint64_t blocks_searched = 10'000;

}  // namespace

std::string redeemer::to_text(const outbox& o) {
  json::array fees, tickets;
  for (const fee_pair& f : o.fees) {
    fees.push_back(json::array{payments::to_text(f.tip), payments::to_text(f.max_fee)});
  }
  for (const hash32& t : o.tickets) tickets.push_back(json::value(t.hex()));
  return json::serialize(json::object{{"nonce", o.nonce},
                                      {"gas", o.gas},
                                      {"since", o.since},
                                      {"fees", std::move(fees)},
                                      {"tickets", std::move(tickets)}});
}

result<std::optional<redeemer::outbox>> redeemer::from_text(const std::string& text) {
  if (text.empty()) return std::optional<outbox>();
  try {
    const json::value parsed = json::parse(text);
    outbox out;
    out.nonce = parsed.at("nonce").to_number<std::uint64_t>();
    out.gas = parsed.at("gas").to_number<std::uint64_t>();
    out.since = parsed.at("since").to_number<std::int64_t>();
    for (const json::value& f : parsed.at("fees").as_array()) {
      const auto tip = parse_u256(std::string_view(f.at(0).as_string()), "tip");
      const auto most = parse_u256(std::string_view(f.at(1).as_string()), "fee");
      if (!tip || !most) return fail(ec::bad_file, "ledger: the redeemer's fees are malformed");
      out.fees.push_back({*tip, *most, 0});
    }
    for (const json::value& t : parsed.at("tickets").as_array()) {
      const auto hash = from_hex<hash32>(std::string_view(t.as_string()), "ticket");
      if (!hash) return fail(hash.error());
      out.tickets.push_back(*hash);
    }
    if (out.fees.empty() || out.tickets.empty()) {
      return fail(ec::bad_file, "ledger: the redeemer's transaction is empty");
    }
    return std::optional<outbox>(std::move(out));
  } catch (const std::exception& e) {
    return fail(ec::bad_file, fmt::format("ledger: the redeemer's transaction: {}", e.what()));
  }
}

result<void> redeemer::write_outbox(const std::optional<outbox>& o) {
  auto done = book_.set_note(std::string(outbox_note), o ? to_text(*o) : std::string()).get();
  if (done) outbox_ = o;
  return done;
}

// Once: what was under way when the process before this one ended.
result<void> redeemer::recover() {
  if (recovered_) return {};
  const auto note = book_.note(outbox_note);
  if (!note) return fail(note.error());
  auto found = from_text(note->value_or(""));
  if (!found) return fail(found.error());
  const auto submitted = book_.winners(redemption_state::submitted, most_looked_at);
  if (!submitted) return fail(submitted.error());
  for (const winning_ticket& t : *submitted) {
    const bool ours = *found && std::find((*found)->tickets.begin(), (*found)->tickets.end(),
                                          t.hash) != (*found)->tickets.end();
    if (ours) continue;
    redemption state = t.state;
    state.state = redemption_state::queued;
    state.why = "its transaction is not known any more";
    if (auto done = record(t.hash, state); !done) return done;
  }
  outbox_ = std::move(*found);
  recovered_ = true;
  return {};
}

// Signatures are deterministic, so this is the transaction that was sent, to the last bit.
result<transaction> redeemer::rebuild(const outbox& o, const fee_pair& fees) {
  std::vector<winning_ticket> tickets;
  for (const hash32& hash : o.tickets) {
    auto t = book_.winner(hash);
    if (!t) return fail(t.error());
    tickets.push_back(std::move(*t));
  }
  const message_call c = call_for(tickets);
  transaction t;
  t.chain_id = wallet_.chain_id();
  t.nonce = o.nonce;
  t.max_priority_fee = fees.tip;
  t.max_fee = fees.max_fee;
  t.gas_limit = o.gas;
  t.to = c.to;
  t.data = c.data;
  return t;
}

result<void> redeemer::record(const hash32& ticket, redemption state) {
  return book_.set_redemption(ticket, std::move(state)).get();
}

result<void> redeemer::mark_submitted(const hash32& transaction) {
  for (const hash32& ticket : outbox_->tickets) {
    const auto found = book_.winner(ticket);
    if (!found) return fail(found.error());
    redemption state = found->state;
    if (state.state == redemption_state::submitted && state.transaction == transaction) continue;
    state.state = redemption_state::submitted;
    state.transaction = transaction;
    state.why.clear();
    if (auto done = record(ticket, std::move(state)); !done) return done;
  }
  return {};
}

result<void> redeemer::give_up(const winning_ticket& t, const std::string& why,
                               redeemer_step& out) {
  log::warn("redeemer", "ticket {} brings nothing: {}", t.hash.hex(), why);
  redemption state = t.state;
  state.state = redemption_state::failed;
  state.why = why;
  ++out.failed;
  return record(t.hash, std::move(state));
}

result<void> redeemer::postpone(const winning_ticket& t, const std::string& why, std::int64_t now,
                                redeemer_step& out) {
  redemption state = t.state;
  state.state = redemption_state::queued;
  state.why = why;
  const unsigned doublings = std::min(state.attempts, 20U);
  const seconds delay =
      std::min(seconds(config_.first_delay.count() << doublings), config_.longest_delay);
  state.not_before = now + delay.count();
  ++state.attempts;
  ++out.postponed;
  log::debug("redeemer", "ticket {} waits {} s: {}", t.hash.hex(), delay.count(), why);
  return record(t.hash, std::move(state));
}

// What an earlier transaction brought; 0 if the chain does not tell any more.
u256 redeemer::find_payment(const winning_ticket& t, time_point deadline) {
  const auto head = chain_->block_number(deadline);
  if (!head) return 0;
  log_filter filter;
  filter.contract = broker_.address();
  filter.first = *head > blocks_searched ? *head - blocks_searched : 0;
  filter.last = *head;
  const auto logs = chain_->logs(filter, deadline);
  if (!logs) return 0;
  for (const redeemed_ticket& e : broker_.redeemed(*logs)) {
    if (e.sender == t.won.sender && e.nonce == t.won.nonce &&
        e.recipient_rand == t.recipient_rand) {
      return e.paid;
    }
  }
  return 0;
}

}  // namespace lp::payments
