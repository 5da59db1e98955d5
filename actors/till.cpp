// SPDX-License-Identifier: MIT
#include "actors/till.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <fmt/core.h>

#include "runtime/base/log.hpp"
#include "runtime/base/steady_time.hpp"

namespace lp::actors {

namespace {

constexpr std::size_t challenge_bytes = 32;
// How often the ledger drops what is over. Only business makes work for it, so business calls it.
constexpr std::int64_t forget_every_ms = 60'000;
// A gateway's clock that differs by less is as good as ours. Told once in a while, of whichever
// gateway: what it says of its clock is not signed.
constexpr std::int64_t skew_told_ms = 10'000;
constexpr std::int64_t tell_every_ms = 60'000;

std::string lower_hex(const payments::address& a) {
  return "0x" + a.hex();
}

}  // namespace

till::till(till_options options, payments::private_key key,
           std::shared_ptr<const payments::price_book> prices, payments::ledger& money,
           chain_lookup chain)
    : options_(std::move(options)),
      key_(std::move(key)),
      prices_(std::move(prices)),
      money_(money),
      chain_(std::move(chain)),
      recipient_(key_.address(), money_.node_secret(), options_.tickets) {}

result<wire::Terms> till::state_terms(const wire::TermsRequest& r, std::int64_t now_ms) const {
  const auto sender = payments::from_bytes<payments::address>(r.sender(), "terms_request.sender");
  if (!sender) return fail(sender.error());
  if (r.challenge().size() != challenge_bytes) {
    return fail(ec::bad_request, "terms_request.challenge: expected 32 bytes");
  }
  const auto who = signer(request_digest(r, options_.me), r.signature(), "terms_request.signature");
  if (!who) return fail(who.error());
  if (*who != *sender) return fail(ec::unauthorized, "terms_request.signature: not of the sender");
  tell_skew(r, now_ms);
  const auto price = prices_->current()->find(r.pipeline(), r.model(), lower_hex(*sender));
  if (!price) return fail(price.error());
  const auto stated = to_wire(price->value_or(payments::price{}), r.model());
  if (!stated) return fail(stated.error());
  wire::info_value info{options_.uri, key_.address().bytes, *stated, {}};
  if (stated->wei > 0) {
    const auto chain = chain_(*sender);
    if (!chain) return fail(chain.error());
    forget_old(chain->view.l1_block, now_ms);
    const auto pending = money_.pending_winnings(*sender);
    if (!pending) return fail(pending.error());
    auto offer = recipient_.offer({*sender, to_price(*stated), scope_of(r.pipeline(), r.model())},
                                  chain->view, chain->funds, *pending);
    if (!offer) return fail(offer.error());
    info.terms = to_wire(*offer);
  }
  const auto account = money_.balance({payments::side::incoming, *sender});
  if (!account) return fail(account.error());
  wire::TermsBody body;
  *body.mutable_info() = wire::write_info(info);
  body.set_cluster(options_.me.cluster);
  body.set_node(options_.me.node);
  body.set_pipeline(r.pipeline());
  body.set_model(r.model());
  body.set_sender(r.sender());
  body.set_challenge(r.challenge());
  body.set_expires_ms(now_ms + options_.terms_life.count());
  body.set_life_ms(static_cast<std::uint32_t>(options_.terms_life.count()));
  body.set_credit(payments::to_text(account->credit));
  return sign_terms(body, key_);
}

// What it pays with goes by our time, which it learns from our terms: this is for the operators.
void till::tell_skew(const wire::TermsRequest& r, std::int64_t now_ms) const {
  if (r.now_ms() <= 0 || r.now_ms() > last_unix_ms) return;
  const std::int64_t ahead = r.now_ms() - now_ms;
  std::int64_t last = told_ms_;
  if (std::llabs(ahead) < skew_told_ms || now_ms - last < tell_every_ms ||
      !told_ms_.compare_exchange_strong(last, now_ms)) {
    return;
  }
  log::warn("till", "the time of gateway 0x{} is {} ours; it is given ours with the terms",
            payments::from_bytes<payments::address>(r.sender(), "sender")->hex(), lead_text(ahead));
}

void till::forget_old(std::uint64_t l1_block, std::int64_t now_ms) const {
  std::int64_t last = forgotten_ms_;
  if (now_ms - last < forget_every_ms || !forgotten_ms_.compare_exchange_strong(last, now_ms)) {
    return;
  }
  money_.forget_expired(l1_block, now_ms / 1000, [](const result<void>& done) {
    if (!done) log::warn("till", "{}", render(done.error()));
  });
}

result<bool> till::is_free(const wire::JobRequest& r) const {
  const auto price = prices_->current()->find(r.pipeline(), r.model());
  if (!price) return fail(price.error());
  return !*price || (*price)->wei_per_unit == 0;
}

// Nobody else can have made these terms, and they name who they are for.
result<payments::price> till::price_in_terms(const wire::JobRequest& r, const std::string& sender,
                                             std::int64_t now_ms) const {
  if (!r.has_terms()) {
    return fail(ec::payment_required, "the job brings neither a payment nor terms");
  }
  const auto terms = read_terms(r.terms());
  if (!terms) return fail(terms.error());
  const wire::TermsBody& b = terms->body;
  if (terms->signer != key_.address() || b.cluster() != options_.me.cluster ||
      b.node() != options_.me.node) {
    return fail(ec::unauthorized, "terms: are not of this orchestrator");
  }
  if (b.sender() != sender || b.pipeline() != r.pipeline() || b.model() != r.model()) {
    return fail(ec::unauthorized, "terms: are for another sender, pipeline or model");
  }
  if (b.expires_ms() < now_ms) return fail(ec::payment_expired, "terms: are over");
  // They were stated while the clock was ahead: they would hold for too long.
  if (b.expires_ms() > now_ms + 2 * options_.terms_life.count()) {
    return fail(ec::payment_expired, "terms: are of another time: ask for new ones");
  }
  return to_price(terms->info.price);
}

result<std::optional<till::checked>> till::check(const wire::JobRequest& r,
                                                 std::int64_t now_ms) const {
  if (!r.has_authorisation()) {
    const auto free = is_free(r);
    if (!free) return fail(free.error());
    if (*free) return std::optional<checked>{};
    return fail(ec::payment_required, "the job is not free and brings no authorisation");
  }
  checked out;
  const std::string job = money_job(r.id(), options_.me.node, r.payment_try() > 0);
  auto authorisation = read_authorisation(r, job, key_.address());
  if (!authorisation) return fail(authorisation.error());
  if (r.has_payment()) {
    const auto values = wire::read_payment(r.payment());
    if (!values) return fail(values.error());
    const payments::payment p = to_payment(*values);
    if (p.sender != authorisation->sender) {
      return fail(ec::unauthorized, "payment.sender: is not who authorised the job");
    }
    const auto chain = chain_(p.sender);
    if (!chain) return fail(chain.error());
    auto good = recipient_.check(p, authorisation->scope, chain->view, chain->funds);
    if (!good) return fail(good.error());
    out.agreed = good->agreed;
    out.order.payment = std::move(*good);
  } else {
    const auto price = price_in_terms(r, r.authorisation().sender(), now_ms);
    if (!price) return fail(price.error());
    out.agreed = *price;
  }
  const auto units = units_of(r);
  if (!units) return fail(units.error());
  if (*units == 0) return fail(ec::bad_request, "job.params_json: asks for no work");
  out.units = *units;
  out.order.quoted = payments::fee(out.agreed, *units);
  out.order.unix_seconds = now_ms / 1000;
  const payments::job_facts facts{key_.address(), job, authorisation->scope,
                                  authorisation->body_hash, out.order.quoted};
  if (auto ok = payments::check_authorization(*authorisation, facts, now_ms / 1000); !ok) {
    return fail(ok.error());
  }
  out.order.authorization = std::move(*authorisation);
  if (out.agreed.wei_per_unit == 0) return std::optional<checked>{};
  return out;
}

void till::admit(checked c, std::function<void(result<std::string>)> done) {
  const payments::job_authorization& by = c.order.authorization;
  // Two senders may use one name.
  const std::string name = by.sender.hex() + "/" + by.job;
  const open_job open{{payments::side::incoming, by.sender}, by.job, c.agreed, c.units};
  money_.admit(std::move(c.order), [this, name, open, done](result<payments::admitted> outcome) {
    if (!outcome) return done(fail(outcome.error()));
    {
      const std::lock_guard lock(mutex_);
      open_.insert_or_assign(name, open);
    }
    done(name);
  });
}

void till::settle(const std::string& name, double units) {
  open_job open;
  {
    const std::lock_guard lock(mutex_);
    const auto it = open_.find(name);
    if (it == open_.end()) return;
    open = it->second;
    open_.erase(it);
  }
  const payments::rational used =
      payments::fee(open.agreed, std::min(whole_units(units), open.units));
  money_.settle(open.account, open.job, used, [name](const result<payments::account>& after) {
    if (!after) log::error("till", "job {}: {}", name, render(after.error()));
  });
}

}  // namespace lp::actors
