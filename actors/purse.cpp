// SPDX-License-Identifier: MIT
#include "actors/purse.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "payments/keccak.hpp"
#include "runtime/base/log.hpp"
#include "runtime/base/steady_time.hpp"

namespace lp::actors {

namespace {

using payments::rational;

// Terms about to end are asked for anew.
constexpr std::int64_t terms_margin_ms = 5'000;
constexpr std::uint64_t blocks_margin = 3;
// An answer to a job that comes later than this after its deadline counts for nothing.
constexpr std::int64_t lost_after_ms = 5'000;
// Times in a row that an orchestrator may refuse a payment or go away with a job before it is
// suspended: terms end and nodes restart. One that keeps a job and stays silent has no second time.
constexpr unsigned most_failures = 3;
constexpr std::size_t most_models = 512;
// A difference between two nodes' times that is worth telling.
constexpr std::int64_t skew_told_ms = 10'000;

std::string note_name(const payments::address& who) {
  return "lost " + who.hex();
}

}  // namespace

purse::purse(purse_options options, payments::private_key key,
             std::shared_ptr<const payments::price_book> caps, payments::ledger& money,
             own_chain_lookup chain)
    : options_(std::move(options)),
      key_(std::move(key)),
      caps_(std::move(caps)),
      money_(money),
      chain_(std::move(chain)) {}

wire::TermsRequest purse::ask(const std::string& node, const std::string& pipeline,
                              const std::string& model, std::int64_t now_ms) const {
  wire::TermsRequest r;
  r.set_now_ms(now_ms);
  r.set_pipeline(pipeline);
  r.set_model(model);
  r.set_sender(key_.address().str());
  r.set_challenge(payments::random_hash().str());
  r.set_signature(key_.sign_message(request_digest(r, {options_.cluster, node})).str());
  return r;
}

result<signed_terms> purse::read_answer(const std::string& node, const wire::TermsRequest& asked,
                                        const wire::Terms& t) const {
  auto read = read_terms(t);
  if (!read) return fail(read.error());
  const wire::TermsBody& b = read->body;
  if (b.challenge() != asked.challenge() || b.sender() != asked.sender() ||
      b.pipeline() != asked.pipeline() || b.model() != asked.model() || b.node() != node ||
      b.cluster() != options_.cluster) {
    return fail(ec::unauthorized,
                fmt::format("terms: orchestrator {} answered something else", node));
  }
  const auto bound = bound_.find(node);
  if (bound != bound_.end() && bound->second != read->signer) {
    return fail(ec::unauthorized,
                fmt::format("terms: orchestrator {} was {} on this connection and now signs as {}",
                            node, to_text(bound->second), to_text(read->signer)));
  }
  const auto expected = options_.expected ? options_.expected(node) : std::nullopt;
  if (expected && *expected != read->signer) {
    return fail(ec::unauthorized,
                fmt::format("terms: whoever answers where {} is to be reached signs as {}",
                            to_text(*expected), to_text(read->signer)));
  }
  return read;
}

result<payments::price> purse::read_price(const std::string& node, const wire::TermsRequest& asked,
                                          const wire::Terms& t) const {
  const auto read = read_answer(node, asked, t);
  if (!read) return fail(read.error());
  return to_price(read->info.price);
}

result<void> purse::take(const std::string& node, const wire::TermsRequest& asked,
                         const wire::Terms& t, std::int64_t now_ms) {
  auto read = read_answer(node, asked, t);
  if (!read) return fail(read.error());
  const wire::TermsBody& b = read->body;
  // A little less than it is by now: what expires by it expires a little early.
  const std::int64_t ahead_ms = read->stated_ms - now_ms;
  tell_skew(node, ahead_ms);
  if (read->info.price.wei > 0) {
    const auto chain = chain_(read->stated_ms);
    if (!chain) return fail(chain.error());
    if (auto ok = payments::check_offer(to_params(read->info.terms), read->signer, chain->view,
                                        chain->funds, options_.limits);
        !ok) {
      return ok;
    }
  }
  if (auto ok = reconcile(read->signer, b.credit()); !ok) return ok;
  if (terms_.size() >= most_models) terms_.clear();
  bound_[node] = read->signer;
  ++record_of(read->signer).taken;
  held_terms held{t, std::move(read->info), {}, now_ms + b.life_ms(), ahead_ms};
  held.price = to_price(held.info.price);
  terms_.insert_or_assign(terms_key{node, b.pipeline(), b.model()}, std::move(held));
  return {};
}

void purse::tell_skew(const std::string& node, std::int64_t ahead_ms) {
  std::int64_t& told = told_skew_[node];
  if (std::llabs(ahead_ms - told) < skew_told_ms) return;
  told = ahead_ms;
  log::warn(
      "purse",
      "the time of orchestrator {} is {} ours; what it is paid with goes by its own: the clock "
      "of one of the two hosts is wrong, or was when its node started",
      node, lead_text(ahead_ms));
}

// The orchestrator signs what it holds for us. Less than we believe: an answer was lost, or it
// lies; either way there is no more to be spent.
result<void> purse::reconcile(const payments::address& who, const std::string& credit) {
  const auto theirs = payments::parse_rational(credit.empty() ? "0" : credit, "terms.credit");
  if (!theirs) return fail(ec::bad_request, theirs.error().message);
  const bool moving = std::any_of(open_.begin(), open_.end(), [&](const auto& entry) {
    return entry.second.orchestrator == who;
  });
  record& known = record_of(who);
  if (!moving || known.doubtful) known.stated = std::max<rational>(*theirs, 0);
  known.doubtful = false;
  // Both sides are in motion: nothing can be said to be lost.
  if (moving) return {};
  const auto ours = money_.balance({payments::side::outgoing, who});
  if (!ours) return fail(ours.error());
  if (*theirs >= ours->credit) return {};
  const rational missing = ours->credit - std::max<rational>(*theirs, 0);
  log::warn("purse", "{} holds {} wei less than it was paid", to_text(who), missing.str());
  known.lost += missing;
  remember(who, known);
  money_.write_off(who, std::max<rational>(*theirs, 0), [](const result<payments::account>&) {});
  return {};
}

const purse::held_terms* purse::find(const std::string& node, const std::string& pipeline,
                                     const std::string& model) const {
  const auto it = terms_.find({node, pipeline, model});
  return it == terms_.end() ? nullptr : &it->second;
}

std::optional<payments::price> purse::held_price(const std::string& node,
                                                 const std::string& pipeline,
                                                 const std::string& model) const {
  const held_terms* t = find(node, pipeline, model);
  if (t == nullptr) return std::nullopt;
  return t->price;
}

bool purse::has_terms(const std::string& node, const std::string& pipeline,
                      const std::string& model, std::int64_t now_ms) const {
  const held_terms* t = find(node, pipeline, model);
  if (t == nullptr || t->expires_ms - terms_margin_ms <= now_ms) return false;
  if (t->info.price.wei == 0) return true;
  // Its tickets live by blocks, which may be over before the price is.
  const auto chain = chain_(now_ms + t->ahead_ms);
  return !chain || t->info.terms.expiration_block > chain->view.l1_block + blocks_margin;
}

void purse::drop_terms(const std::string& node) {
  std::erase_if(terms_, [&](const auto& entry) { return std::get<0>(entry.first) == node; });
}

void purse::forget(const std::string& node) {
  drop_terms(node);
  bound_.erase(node);
}

result<void> purse::check_cap(const plan& p, const std::string& pipeline, const std::string& model,
                              const std::vector<payments::money>& max_prices) const {
  const auto caps = caps_->current();
  const auto cap = caps->find(pipeline, model);
  if (!cap) return fail(cap.error());
  if (*cap && p.price.wei_per_unit > (*cap)->wei_per_unit) {
    return fail(ec::over_budget,
                fmt::format("orchestrator {} asks {} wei a unit; this gateway pays at most {}",
                            p.node, to_text(p.price), to_text(**cap)));
  }
  for (const payments::money& limit : max_prices) {
    const auto most = caps->in_wei(limit);
    if (!most) return fail(ec::bad_request, "max_price: " + most.error().message);
    if (p.order.quoted <= *most) continue;
    return fail(ec::over_budget,
                fmt::format("the job costs {} wei at orchestrator {}; max_price is {}",
                            payments::to_text(p.order.quoted), p.node, payments::to_text(*most)));
  }
  return {};
}

result<purse::plan> purse::prepare(const payment_order& order, std::int64_t deadline_ms,
                                   std::int64_t now_ms) {
  const wire::JobRequest& r = order.request;
  const held_terms* terms = find(order.node, r.pipeline(), r.model());
  if (terms == nullptr) return fail(ec::payment_expired, "terms: are not there any more");
  plan out;
  out.job = money_job(r.id(), order.node, order.again);
  out.again = order.again;
  out.node = order.node;
  out.orchestrator.bytes = terms->info.address;
  out.price = terms->price;
  if (const auto until = suspended_until(out.orchestrator, now_ms); until > now_ms) {
    return fail(ec::payment_required,
                fmt::format("orchestrator {} took payment and did not deliver; it is left out for "
                            "{} s more",
                            order.node, (until - now_ms + 999) / 1000));
  }
  const auto units = units_of(r);
  if (!units) return fail(units.error());
  out.units = *units;
  out.free = terms->info.price.wei == 0;
  out.order.params = to_params(terms->info.terms);
  out.order.job = out.job;
  out.order.quoted = payments::fee(out.price, out.units);
  out.order.limits = options_.limits;
  // What was lost to it counts as long as nothing is delivered for it.
  const rational left = rational(options_.limits.max_exposure) - lost(out.orchestrator);
  out.order.limits.max_exposure = payments::u256(payments::floor(std::max<rational>(left, 0)));
  if (auto ok = check_cap(out, r.pipeline(), r.model(), order.max_prices); !ok) {
    return fail(ok.error());
  }
  const std::int64_t ahead = terms->ahead_ms;
  out.expires_at = std::min((deadline_ms + ahead) / 1000 + 60,
                            (now_ms + ahead) / 1000 + payments::most_authorization_seconds - 30);
  if (out.free) return out;
  record& known = record_of(out.orchestrator);
  out.order.stated = std::exchange(known.stated, std::nullopt);
  open_[money_job(r.id(), order.node)] = {out.job,   out.node,    out.orchestrator, out.price,
                                          out.units, deadline_ms, known.taken};
  return out;
}

void purse::drop(const plan& p) {
  std::erase_if(open_, [&](const auto& entry) { return entry.second.name == p.job; });
}

void purse::fund(const plan& p, std::function<void(result<payments::funded>)> done) {
  if (p.free) return done(payments::funded{});
  money_.fund(p.order, std::move(done));
}

void purse::complete(const plan& p, const payments::funded& f, wire::JobRequest& request) {
  if (f.count > 0) {
    wire::payment_value v;
    v.terms = to_wire(p.order.params);
    v.sender = key_.address().bytes;
    v.price = *to_wire(p.price, request.model());
    for (const auto& t : payments::sign_tickets(key_, p.order.params, f.first_nonce, f.count)) {
      v.tickets.push_back({t.nonce, t.sig.bytes});
    }
    *request.mutable_payment() = wire::write_payment(v);
  } else if (const held_terms* terms = find(p.node, request.pipeline(), request.model())) {
    *request.mutable_terms() = terms->message;
  }
  payments::job_authorization a;
  a.orchestrator = p.orchestrator;
  a.job = p.job;
  a.scope = scope_of(request.pipeline(), request.model());
  a.body_hash = job_digest(request);
  a.max_charge = payments::u256(payments::ceil(p.order.quoted));
  a.expires_at = p.expires_at;
  payments::sign_authorization(a, key_);
  *request.mutable_authorisation() = to_wire(a);
  if (p.again) request.set_payment_try(1);
}

void purse::close(const payments::address& who, const std::string& job, const rational& used) {
  money_.settle({payments::side::outgoing, who}, job, used,
                [job](const result<payments::account>& after) {
                  // A job whose funding failed has nothing to settle.
                  if (!after) log::debug("purse", "job {}: {}", job, render(after.error()));
                });
}

void purse::settle(const settlement& s, std::int64_t now_ms) {
  const auto it = open_.find(money_job(s.job, s.node));
  if (it == open_.end()) return;
  const open_job open = std::move(it->second);
  const std::string& job = open.name;
  open_.erase(it);
  const rational used = payments::fee(open.price, std::min(whole_units(s.units), open.units));
  const rational whole = payments::fee(open.price, open.units);
  record& r = record_of(open.orchestrator);
  switch (s.how) {
    case settlement::outcome::delivered:
      r.failures = 0;
      if (r.lost > 0) {
        r.lost = std::max<rational>(r.lost - used, 0);
        remember(open.orchestrator, r);
      }
      return close(open.orchestrator, job, used);
    case settlement::outcome::returned:
      return close(open.orchestrator, job, used);
    case settlement::outcome::unsent:
      drop_terms(s.node);  // the tickets are lost: the next terms tell what is there
      r.doubtful = true;
      return close(open.orchestrator, job, 0);
    case settlement::outcome::refused:
      drop_terms(s.node);
      r.doubtful = true;
      blame(open, now_ms);
      return close(open.orchestrator, job, 0);
    case settlement::outcome::gone:
      drop_terms(s.node);
      r.doubtful = true;
      lose(open.orchestrator, whole);
      blame(open, now_ms);
      return close(open.orchestrator, job, whole);
    case settlement::outcome::silent:
      drop_terms(s.node);
      r.doubtful = true;
      lose(open.orchestrator, whole);
      suspend(open.orchestrator, now_ms);
      return close(open.orchestrator, job, whole);
  }
}

// Many jobs may fail by one cause, such as a restart: it counts once for all that were under way.
void purse::blame(const open_job& open, std::int64_t now_ms) {
  record& r = record_of(open.orchestrator);
  if (open.terms <= r.blamed) return;
  r.blamed = r.taken;
  if (++r.failures >= most_failures) suspend(open.orchestrator, now_ms);
}

void purse::lose(const payments::address& who, const rational& amount) {
  record& r = record_of(who);
  r.lost += amount;
  log::warn("purse", "orchestrator {}: {} wei paid and not served, {} in all", to_text(who),
            amount.str(), r.lost.str());
  remember(who, r);
}

void purse::suspend(const payments::address& who, std::int64_t now_ms) {
  record& r = record_of(who);
  r.failures = 0;
  r.until_ms = now_ms + options_.suspension.count();
  log::warn("purse", "orchestrator {} is not paid, and not chosen, for {} s", to_text(who),
            options_.suspension.count() / 1000);
  remember(who, r);
}

void purse::expire(std::int64_t now_ms) {
  std::vector<std::pair<std::string, std::string>> late;
  for (const auto& [job, open] : open_) {
    if (open.deadline_ms + lost_after_ms > now_ms) continue;
    late.emplace_back(job.substr(0, job.find('@')), open.node);
  }
  for (const auto& [id, node] : late) {
    settle({id, node, settlement::outcome::silent, 0}, now_ms);
  }
}

void purse::peer_down(const std::string& node, std::int64_t now_ms) {
  std::vector<std::string> there;
  for (const auto& [job, open] : open_) {
    if (open.node == node) there.push_back(job.substr(0, job.find('@')));
  }
  for (const std::string& id : there) settle({id, node, settlement::outcome::gone, 0}, now_ms);
  forget(node);
}

void purse::fill(quote& q, const std::string& pipeline, std::int64_t now_ms) const {
  const held_terms* t = find(q.node, pipeline, q.model);
  if (t == nullptr) {
    q.problem = error{ec::unavailable, "it stated no terms", {}};
    return;
  }
  payments::address who;
  who.bytes = t->info.address;
  q.address = to_text(who);
  q.price = t->price;
  q.fee = payments::fee(q.price, q.units);
  // New terms are asked for a little earlier than these are over.
  q.expires_ms = t->expires_ms - terms_margin_ms;
  if (suspended_until(who, now_ms) > now_ms) {
    q.problem = {ec::payment_required, "it took payment and did not deliver", {}};
    return;
  }
  if (t->info.price.wei == 0) return;
  if (const auto chain = chain_(now_ms + t->ahead_ms); chain && chain->funds) {
    const std::uint64_t last = t->info.terms.expiration_block;
    q.expires_block = last - std::min(last, blocks_margin);
  }
  q.ticket_ev = payments::expected_value(to_params(t->info.terms));
  const auto account = money_.balance({payments::side::outgoing, who});
  if (account) q.credit = account->credit;
  const auto tickets = payments::plan_tickets(q.credit, q.fee, q.ticket_ev, options_.limits);
  if (tickets) {
    q.tickets = *tickets;
  } else {
    q.problem = tickets.error();
  }
}

// What was stored by a clock that was ahead lasts no longer than any other.
std::int64_t purse::suspended_until(const payments::address& who, std::int64_t now_ms) const {
  record& r = record_of(who);
  r.until_ms = std::min(r.until_ms, now_ms + options_.suspension.count());
  return r.until_ms;
}

std::int64_t purse::suspended_until(const payments::address& orchestrator) const {
  return record_of(orchestrator).until_ms;
}

rational purse::lost(const payments::address& orchestrator) const {
  return record_of(orchestrator).lost;
}

// Outlives a restart: "LOST UNTIL".
purse::record& purse::record_of(const payments::address& who) const {
  const auto [it, fresh] = records_.try_emplace(who);
  if (!fresh) return it->second;
  const auto note = money_.note(note_name(who));
  if (!note || !*note) return it->second;
  const std::string& text = **note;
  const auto space = text.find(' ');
  const auto amount = payments::parse_rational(text.substr(0, space), "note");
  if (amount) it->second.lost = *amount;
  if (space != std::string::npos) it->second.until_ms = std::atoll(text.c_str() + space);
  return it->second;
}

void purse::remember(const payments::address& who, const record& r) {
  money_.set_note(note_name(who), fmt::format("{} {}", payments::to_text(r.lost), r.until_ms),
                  [](const result<void>&) {});
}

}  // namespace lp::actors
