// SPDX-License-Identifier: MIT
#include "payments/chain/redeemer.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "runtime/base/log.hpp"

namespace lp::payments {

namespace {

constexpr std::size_t most_in_batch = 32;
constexpr std::size_t most_looked_at = 10'000;
// On top of what each ticket takes by itself, in a batch.
constexpr std::uint64_t batch_overhead = 60'000;

// What will not be different another time. The contract's own words.
bool is_final(const std::string& why) {
  constexpr std::string_view reasons[] = {
      "ticket is used",
      "ticket is expired",
      "ticket did not win",
      "invalid signature",
      "INVALID_SIGNATURE_LENGTH",
      "recipientRand does not match",
      "ticket recipient is null",
      "ticket sender is null",
      "invalid length for ticket auxData",
      "ticket creationRound does not have a block hash",
      "ticket creationRoundBlockHash invalid",
  };
  return std::any_of(std::begin(reasons), std::end(reasons),
                     [&](std::string_view r) { return why.find(r) != std::string::npos; });
}

redeemable_ticket for_contract(const winning_ticket& t) {
  return {t.won, t.sig, t.recipient_rand};
}

bool is_event_of(const redeemed_ticket& e, const winning_ticket& t) {
  return e.sender == t.won.sender && e.nonce == t.won.nonce && e.recipient_rand == t.recipient_rand;
}

template <class T>
error plain(const rpc_result<T>& r) {
  return static_cast<const error&>(r.error());
}

}  // namespace

redeemer::redeemer(ledger& book, std::shared_ptr<eth_client> chain, const protocol_addresses& where,
                   const private_key& key, std::uint64_t chain_id, gas_policy policy,
                   redeemer_config config)
    : book_(book),
      chain_(chain),
      broker_(chain, where.ticket_broker),
      rounds_(chain, where.rounds_manager),
      wallet_(chain, key, chain_id, policy),
      config_(config) {
  config_.batch = std::clamp<std::size_t>(config_.batch, 1, most_in_batch);
}

result<redeemer_step> redeemer::step(std::int64_t unix_seconds, time_point deadline,
                                     bool impatient) {
  redeemer_step out;
  if (auto done = recover(); !done) return fail(done.error());
  if (outbox_) {
    if (auto done = look_after(unix_seconds, out, deadline); !done) return fail(done.error());
  }
  if (!outbox_) {
    if (auto done = begin(unix_seconds, impatient, out, deadline); !done) return fail(done.error());
  }
  out.waiting = outbox_.has_value();
  return out;
}

message_call redeemer::call_for(const std::vector<winning_ticket>& tickets) const {
  if (tickets.size() == 1) return broker_.redeem(for_contract(tickets.front()));
  std::vector<redeemable_ticket> all;
  for (const winning_ticket& t : tickets) all.push_back(for_contract(t));
  return broker_.redeem_many(all);
}

// --- the transaction under way

result<void> redeemer::look_after(std::int64_t now, redeemer_step& out, time_point deadline) {
  bool in_a_block = false;
  for (const fee_pair& fees : outbox_->fees) {
    const auto t = rebuild(*outbox_, fees);
    if (!t) return fail(t.error());
    const hash32 hash = wallet_.sign(*t).hash;
    const auto mined = wallet_.confirmed(hash, deadline);
    if (!mined) return fail(mined.error());
    if (*mined) return finish(**mined, now, out, deadline);
    const auto seen = chain_->transaction_receipt(hash, deadline);
    if (!seen) return fail(seen.error());
    in_a_block = in_a_block || seen->has_value();
  }
  if (in_a_block) return {};
  const auto used = chain_->transaction_count(wallet_.address(), false, deadline);
  if (!used) return fail(used.error());
  if (*used > outbox_->nonce) {
    return give_back("another transaction took this one's nonce", now, false, out);
  }
  return push_again(now, out, deadline);
}

// Sends the newest version again if the node has forgotten it, and a dearer one if it is stuck.
result<void> redeemer::push_again(std::int64_t now, redeemer_step& out, time_point deadline) {
  auto t = rebuild(*outbox_, outbox_->fees.back());
  if (!t) return fail(t.error());
  const std::int64_t patience = std::chrono::ceil<seconds>(wallet_.policy().stuck_after).count();
  // A time to come was written by a clock that was ahead: it says nothing.
  const bool stuck = now - outbox_->since >= patience || outbox_->since - now > patience;
  if (stuck && outbox_->fees.size() <= config_.replacements) {
    if (const auto dearer = wallet_.replacement(*t, deadline)) {
      outbox next = *outbox_;
      next.fees.push_back({dearer->max_priority_fee, dearer->max_fee, 0});
      next.since = now;
      if (auto kept = write_outbox(next); !kept) return kept;
      t = *dearer;
      log::info("redeemer", "offers {} wei a unit of gas for what is stuck",
                payments::to_text(t->max_fee));
    } else {
      out.note = dearer.error().message;
    }
  }
  const signed_transaction sent = wallet_.sign(*t);
  if (auto done = mark_submitted(sent.hash); !done) return done;
  const auto known = chain_->knows_transaction(sent.hash, deadline);
  if (!known) return fail(known.error());
  if (*known) return {};
  const auto taken = wallet_.broadcast(sent.raw, deadline);
  if (!taken) return fail(taken.error());
  if (taken->outcome == broadcast_outcome::accepted) return {};
  // A dearer version that is refused leaves the one before it where it is. The first version
  // refused means that nothing is under way.
  if (outbox_->fees.size() > 1) {
    out.note = taken->reason;
    return {};
  }
  return give_back(taken->reason, now, true, out);
}

result<void> redeemer::finish(const mined_transaction& r, std::int64_t now, redeemer_step& out,
                              time_point deadline) {
  const auto events = broker_.redeemed(r.logs);
  std::string why = "the batch passed over it";
  if (!r.succeeded) {
    const auto t = rebuild(*outbox_, outbox_->fees.back());
    if (!t) return fail(t.error());
    message_call c;
    c.to = t->to;
    c.data = t->data;
    why = wallet_.failure_reason(c, r, deadline);
  }
  for (const hash32& hash : outbox_->tickets) {
    const auto ticket = book_.winner(hash);
    if (!ticket) return fail(ticket.error());
    const auto event = std::find_if(events.begin(), events.end(), [&](const redeemed_ticket& e) {
      return is_event_of(e, *ticket);
    });
    result<void> done;
    if (event != events.end()) {
      redemption state = ticket->state;
      state.state = redemption_state::mined;
      state.transaction = r.transaction;
      state.paid = event->paid;
      state.why.clear();
      ++out.mined;
      done = record(hash, state);
    } else if (!r.succeeded && is_final(why)) {
      done = give_up(*ticket, why, out);
    } else {
      done = postpone(*ticket, why, now, out);
    }
    if (!done) return done;
  }
  return write_outbox(std::nullopt);
}

// Nothing is under way after all. With a penalty the tickets wait before they are tried again.
result<void> redeemer::give_back(const std::string& why, std::int64_t now, bool penalty,
                                 redeemer_step& out) {
  for (const hash32& hash : outbox_->tickets) {
    auto ticket = book_.winner(hash);
    if (!ticket) return fail(ticket.error());
    if (!penalty) {
      redemption state = ticket->state;
      state.state = redemption_state::queued;
      state.why = why;
      if (auto done = record(hash, state); !done) return done;
    } else if (auto done = postpone(*ticket, why, now, out); !done) {
      return done;
    }
  }
  return write_outbox(std::nullopt);
}

// --- choosing what to redeem

// Nothing where no ticket can be redeemed at this time.
result<std::optional<redeemer::outlook>> redeemer::look(std::int64_t now, redeemer_step& out,
                                                        time_point deadline) {
  outlook known;
  known.now = now;
  const auto round = rounds_.state(deadline);
  if (!round) return fail(round.error());
  known.round = *round;
  if (!round->initialized) {
    out.note = fmt::format("round {} is not initialised yet", round->current);
    return std::optional<outlook>();
  }
  const auto validity = broker_.validity_period(deadline);
  if (!validity) return fail(validity.error());
  known.validity = *validity;
  const auto fees = wallet_.fees(deadline);
  if (!fees && fees.error().code != ec::unavailable) return fail(fees.error());
  if (!fees) {
    out.note = fees.error().message;
    return std::optional<outlook>();
  }
  known.gas_price = fees->expected;
  return std::optional<outlook>(std::move(known));
}

result<void> redeemer::begin(std::int64_t now, bool impatient, redeemer_step& out,
                             time_point deadline) {
  const auto queue = book_.winners(redemption_state::queued, most_looked_at);
  if (!queue) return fail(queue.error());
  if (queue->empty()) return {};
  auto known = look(now, out, deadline);
  if (!known) return fail(known.error());
  if (!*known) return {};
  std::vector<choice> chosen;
  for (const winning_ticket& t : *queue) {
    if (chosen.size() >= config_.batch || clock::now() >= deadline) break;
    const std::int64_t wait = t.state.not_before - now;
    // Nothing waits longer than this: what would was written by a clock that was ahead.
    if (wait > 0 && wait <= config_.longest_delay.count() && !impatient) continue;
    if (t.expiration_block > (*known)->round.block) continue;
    auto verdict = judge(t, **known, out, deadline);
    if (!verdict) return fail(verdict.error());
    if (*verdict) chosen.push_back(std::move(**verdict));
  }
  if (chosen.empty()) return {};
  return submit(chosen, now, out, deadline);
}

// What the sender could pay us now: its deposit and our part of its reserve.
result<integer*> redeemer::funds_of(const address& sender, outlook& known, time_point deadline) {
  const auto found = known.funds.find(sender);
  if (found != known.funds.end()) return &found->second;
  const auto info = broker_.sender(sender, deadline);
  if (!info) return fail(info.error());
  const auto reserve = broker_.claimable_reserve(sender, wallet_.address(), deadline);
  if (!reserve) return fail(reserve.error());
  return &(known.funds[sender] = integer(info->deposit) + integer(*reserve));
}

result<std::optional<redeemer::choice>> redeemer::judge(const winning_ticket& t, outlook& known,
                                                        redeemer_step& out, time_point deadline) {
  const auto none = [](result<void> done) -> result<std::optional<choice>> {
    if (!done) return fail(done.error());
    return std::optional<choice>();
  };
  if (t.won.recipient != wallet_.address()) {
    return none(give_up(t, "the ticket is another recipient's", out));
  }
  const auto used = broker_.is_used(t.hash, deadline);
  if (!used) return fail(used.error());
  if (*used) {
    redemption state = t.state;
    state.state = redemption_state::mined;
    state.paid = find_payment(t, deadline);
    state.why = "redeemed by an earlier transaction";
    ++out.mined;
    return none(record(t.hash, state));
  }
  if (t.won.made.round + known.validity <= known.round.current) {
    return none(give_up(t, "ticket is expired", out));
  }
  message_call c = broker_.redeem(for_contract(t));
  c.from = wallet_.address();
  const auto gas = chain_->estimate_gas(c, deadline);
  if (!gas && !gas.error().answered) return fail(plain(gas));
  if (!gas) {
    const std::string& why = gas.error().message;
    return none(is_final(why) ? give_up(t, why, out) : postpone(t, why, known.now, out));
  }
  const auto funds = funds_of(t.won.sender, known, deadline);
  if (!funds) return fail(funds.error());
  const integer worth = std::min(integer(t.won.face_value), **funds);
  const integer cost = integer(known.gas_price) * *gas;
  if (worth <= cost) {
    return none(
        postpone(t, fmt::format("it would bring {} wei now and cost {}", worth.str(), cost.str()),
                 known.now, out));
  }
  **funds -= worth;
  return std::optional<choice>(choice{t, *gas});
}

result<void> redeemer::submit(const std::vector<choice>& chosen, std::int64_t now,
                              redeemer_step& out, time_point deadline) {
  std::vector<winning_ticket> tickets;
  outbox next;
  for (const choice& c : chosen) {
    tickets.push_back(c.ticket);
    next.tickets.push_back(c.ticket.hash);
    next.gas += c.gas;
  }
  message_call call = call_for(tickets);
  // A batch goes on when one ticket fails, so that its gas cannot be estimated as a whole.
  const unsigned margin = wallet_.policy().margin_percent;
  call.gas = next.gas + next.gas / 100 * margin + (chosen.size() > 1 ? batch_overhead : 0);
  call.gas = std::min(call.gas, wallet_.policy().max_gas);
  const auto t = wallet_.prepare(call, deadline);
  if (!t) return fail(plain(t));
  next.nonce = t->nonce;
  next.gas = t->gas_limit;
  next.fees = {{t->max_priority_fee, t->max_fee, 0}};
  next.since = now;
  if (auto kept = write_outbox(next); !kept) return kept;
  out.submitted = chosen.size();
  return push_again(now, out, deadline);
}

}  // namespace lp::payments
