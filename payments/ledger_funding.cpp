// SPDX-License-Identifier: MIT
// The gateway's half of the ledger's writer: credit at orchestrators, and nonces for new tickets.
#include "payments/ledger_state.hpp"

namespace lp::payments {

namespace {

std::string whole(const rational& wei) {
  return ceil(wei).str();
}

}  // namespace

// Credit that may be counted on: what is doubted stays in the book, and is not spent.
rational ledger_state::usable(const funding& f, const rational& credit) {
  const address& where = f.params.recipient;
  if (f.stated && *f.stated < credit) {
    doubted_[where] = credit - *f.stated;
  } else if (f.stated) {
    doubted_.erase(where);
  }
  const auto doubt = doubted_.find(where);
  return doubt == doubted_.end() ? credit : std::max<rational>(credit - doubt->second, 0);
}

// Everything is checked before anything changes: a refused job leaves no trace.
result<funded> ledger_state::fund(const funding& f) {
  const account_key key{side::outgoing, f.params.recipient};
  if (f.quoted < 0) return fail(ec::bad_request, "a price below 0");
  if (f.budget && f.quoted > *f.budget) {
    return fail(ec::over_budget, fmt::format("the job costs {} wei, and the request may spend {}",
                                             whole(f.quoted), floor(*f.budget).str()));
  }
  if (book_.jobs().count({key, f.job}) > 0) {
    return fail(ec::bad_request, fmt::format("job {} is under way already", f.job.substr(0, 200)));
  }
  if (!room_for(key)) return fail(ec::busy, "no room for another orchestrator");
  const account before = book_.find(key);
  const rational ev = expected_value(f.params);
  const auto count = plan_tickets(usable(f, before.credit), f.quoted, ev, f.limits);
  if (!count) return fail(count.error());
  const rational exposed = before.credit + before.reserved + ev * *count;
  if (*count > 0 && exposed > rational(integer(f.limits.max_exposure))) {
    return fail(ec::over_budget,
                fmt::format("orchestrator {} would hold {} wei for work it has not done, and {} "
                            "are the most",
                            to_text(key.other), whole(exposed), to_text(f.limits.max_exposure)));
  }
  auto known = store_.find_session(key, f.params.recipient_rand_hash);
  if (known && known->params != f.params) {
    return fail(ec::payment_required,
                "ticketParams changed while their recipientRandHash stayed the same");
  }
  const std::uint32_t first = known ? known->next_nonce : 1;
  if (std::uint64_t{first} - 1 + *count > f.limits.max_nonce) {
    return fail(ec::payment_expired,
                fmt::format("the parameters are good for {} more tickets, and the job needs {}: "
                            "ask for new ones",
                            f.limits.max_nonce - (first - 1), *count));
  }
  if (*count > 0) {
    if (!known) {
      known.emplace();
      known->id = next_session_++;
      known->key = key;
      known->params = f.params;
      known->next_nonce = first + *count;
      store_.add_session(*known);
    } else {
      store_.put_next_nonce(known->id, first + *count);
    }
    const std::uint64_t number = next_payment_++;
    const auto credited = book_.credit(key, ev * *count, number);
    if (!credited) return fail(credited.error());
    store_.add_payment(
        {number, known->id, now_, *count, credited->amount, pack_nonces({first, *count})});
    record(*credited);
  }
  const auto held = reserve(key, f.job, f.quoted, {});
  if (!held) return fail(held.error());
  return funded{first, *count, book_.find(key).credit};
}

}  // namespace lp::payments
