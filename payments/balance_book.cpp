// SPDX-License-Identifier: MIT
#include "payments/balance_book.hpp"

#include <algorithm>

namespace lp::payments {

namespace mp = boost::multiprecision;

namespace {

constexpr unsigned most_denominator_bits = 1024;

std::string shown(const rational& wei) {
  return ceil(wei).str();
}

}  // namespace

std::string_view to_string(event_kind kind) {
  switch (kind) {
    case event_kind::tickets:
      return "tickets";
    case event_kind::reserve:
      return "reserve";
    case event_kind::debit:
      return "debit";
    case event_kind::release:
      return "release";
    case event_kind::write_off:
      return "write_off";
  }
  return "unknown";
}

std::string_view to_string(side of) {
  return of == side::incoming ? "incoming" : "outgoing";
}

rational bounded_credit(const rational& credit) {
  const integer below = mp::denominator(credit);
  if (mp::msb(below) < most_denominator_bits) return credit;
  const integer grid = integer(1) << 64;
  return {floor(rational(credit * grid)), grid};
}

account balance_book::find(const account_key& key) const {
  const auto at = accounts_.find(key);
  return at == accounts_.end() ? account{} : at->second;
}

result<event> balance_book::credit(const account_key& key, const rational& amount,
                                   std::uint64_t payment) {
  if (amount < 0) return fail(ec::internal, "a credit below 0");
  account& a = accounts_[key];
  const rational after = bounded_credit(a.credit + amount);
  event out{event_kind::tickets, key, after - a.credit, {}, payment};
  a.credit = after;
  return out;
}

result<event> balance_book::reserve(const account_key& key, const std::string& job,
                                    const rational& amount) {
  if (amount < 0) return fail(ec::internal, "a price below 0");
  if (jobs_.count({key, job}) > 0) {
    return fail(ec::bad_request, fmt::format("job {} is under way already", job.substr(0, 200)));
  }
  const account before = find(key);
  if (before.credit < amount) {
    return fail(ec::payment_required,
                fmt::format("the job costs {} wei, and credit and tickets cover {}", shown(amount),
                            floor(before.credit).str()));
  }
  // Rounding may only ever make the reserve larger; at the very end it takes what is left.
  const rational after = bounded_credit(before.credit - amount);
  const rational held = before.credit - after;
  accounts_[key] = {after, before.reserved + held};
  jobs_[{key, job}] = {key, job, held};
  return event{event_kind::reserve, key, held, job, 0};
}

result<std::vector<event>> balance_book::settle(const account_key& key, const std::string& job,
                                                const rational& used) {
  if (used < 0) return fail(ec::bad_request, "a usage below 0");
  const auto at = jobs_.find({key, job});
  if (at == jobs_.end()) {
    return fail(ec::not_found, fmt::format("no job {} is under way", job.substr(0, 200)));
  }
  const open_job open = std::move(at->second);
  jobs_.erase(at);
  account& a = accounts_[open.account];
  const rational after = bounded_credit(a.credit + open.reserved - std::min(used, open.reserved));
  const rational returned = std::max(rational(after - a.credit), rational(0));
  const rational debit = open.reserved - returned;
  a.reserved -= open.reserved;
  a.credit += returned;
  std::vector<event> out;
  if (debit > 0) out.push_back({event_kind::debit, open.account, debit, job, 0});
  if (returned > 0 || debit == 0) {
    out.push_back({event_kind::release, open.account, returned, job, 0});
  }
  return out;
}

result<std::vector<event>> balance_book::write_off(const account_key& key, const rational& to) {
  if (to < 0) return fail(ec::bad_request, "a balance below 0");
  const account before = find(key);
  if (before.credit <= to) return std::vector<event>{};
  const rational after = bounded_credit(to);
  accounts_[key].credit = after;
  return std::vector<event>{{event_kind::write_off, key, before.credit - after, {}, 0}};
}

void balance_book::put(open_job job) {
  job_key key{job.account, job.job};
  jobs_[std::move(key)] = std::move(job);
}

result<void> balance_book::apply(const event& e) {
  const auto wrong = [&](std::string_view why) {
    return fail(ec::bad_file,
                fmt::format("{} of {} wei for {} {}: {}", to_string(e.kind), to_text(e.amount),
                            to_string(e.account.of), to_text(e.account.other), why));
  };
  if (e.amount < 0) return wrong("the amount is below 0");
  account& a = accounts_[e.account];
  const auto job = jobs_.find({e.account, e.job});
  switch (e.kind) {
    case event_kind::tickets:
      a.credit += e.amount;
      return {};
    case event_kind::write_off:
      if (a.credit < e.amount) return wrong("the credit is smaller");
      a.credit -= e.amount;
      return {};
    case event_kind::reserve:
      if (a.credit < e.amount) return wrong("the credit is smaller");
      if (job != jobs_.end()) return wrong("the job is open already");
      a.credit -= e.amount;
      a.reserved += e.amount;
      put({e.account, e.job, e.amount});
      return {};
    case event_kind::debit:
    case event_kind::release:
      if (job == jobs_.end()) return wrong("no such job");
      if (job->second.reserved < e.amount) return wrong("the job holds less");
      a.reserved -= e.amount;
      if (e.kind == event_kind::release) a.credit += e.amount;
      job->second.reserved -= e.amount;
      if (job->second.reserved == 0) jobs_.erase(job);
      return {};
  }
  return wrong("no such kind of event");
}

}  // namespace lp::payments
