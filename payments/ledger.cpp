// SPDX-License-Identifier: MIT
#include "payments/ledger.hpp"

#include "payments/ledger_core.hpp"

namespace lp::payments {

namespace {

template <class T, class Work>
class call final : public ledger_task {
 public:
  call(Work work, callback<T> done) : work_(std::move(work)), done_(std::move(done)) {}

  void apply(ledger_state& state) override { out_.emplace(work_(state)); }
  void finish(const error* lost) override {
    if (!done_) return;
    if (lost != nullptr) {
      done_(fail(*lost));
    } else {
      done_(std::move(*out_));
    }
  }

 private:
  Work work_;
  callback<T> done_;
  std::optional<result<T>> out_;
};

template <class T, class Work>
void queue(ledger_core& core, Work work, callback<T> done, std::size_t tickets = 0) {
  core.submit(std::make_unique<call<T, Work>>(std::move(work), std::move(done)), tickets);
}

// The callback that fulfils a future.
template <class T>
std::pair<callback<T>, std::future<result<T>>> promised() {
  auto promise = std::make_shared<std::promise<result<T>>>();
  auto future = promise->get_future();
  return {[promise](result<T> r) { promise->set_value(std::move(r)); }, std::move(future)};
}

}  // namespace

std::string_view to_string(redemption_state state) {
  switch (state) {
    case redemption_state::queued:
      return "queued";
    case redemption_state::submitted:
      return "submitted";
    case redemption_state::mined:
      return "mined";
    case redemption_state::failed:
      return "failed";
  }
  return "unknown";
}

ledger::ledger(std::unique_ptr<ledger_core> core) : core_(std::move(core)) {}
ledger::~ledger() = default;

result<std::unique_ptr<ledger>> ledger::open(ledger_options options) {
  auto core = ledger_core::open(std::move(options));
  if (!core) return fail(core.error());
  return std::unique_ptr<ledger>(new ledger(std::move(*core)));
}

const hash32& ledger::node_secret() const {
  return core_->secret();
}

ledger_stats ledger::stats() const {
  return core_->stats();
}

void ledger::receive(checked_payment p, callback<receipt> done) {
  const std::size_t tickets = p.tickets.size();
  queue<receipt>(
      *core_, [p = std::move(p)](ledger_state& s) { return s.receive(p); }, std::move(done),
      tickets);
}

void ledger::admit(admission a, callback<admitted> done) {
  const std::size_t tickets = a.payment ? a.payment->tickets.size() : 0;
  queue<admitted>(
      *core_, [a = std::move(a)](ledger_state& s) { return s.admit(a); }, std::move(done), tickets);
}

void ledger::fund(funding f, callback<funded> done) {
  queue<funded>(
      *core_, [f = std::move(f)](ledger_state& s) { return s.fund(f); }, std::move(done));
}

void ledger::settle(account_key key, std::string job, rational used, callback<account> done) {
  queue<account>(
      *core_,
      [key, job = std::move(job), used = std::move(used)](ledger_state& s) {
        return s.settle(key, job, used);
      },
      std::move(done));
}

void ledger::write_off(address orchestrator, rational to, callback<account> done) {
  queue<account>(
      *core_,
      [orchestrator, to = std::move(to)](ledger_state& s) { return s.write_off(orchestrator, to); },
      std::move(done));
}

void ledger::set_redemption(hash32 ticket, redemption state, callback<void> done) {
  queue<void>(
      *core_,
      [ticket, state = std::move(state)](ledger_state& s) {
        return s.set_redemption(ticket, state);
      },
      std::move(done));
}

void ledger::forget_expired(std::uint64_t l1_block, std::int64_t unix_seconds,
                            callback<void> done) {
  queue<void>(
      *core_,
      [l1_block, unix_seconds](ledger_state& s) {
        return s.forget_expired(l1_block, unix_seconds);
      },
      std::move(done));
}

void ledger::set_note(std::string name, std::string value, callback<void> done) {
  queue<void>(
      *core_,
      [name = std::move(name), value = std::move(value)](ledger_state& s) {
        return s.set_note(name, value);
      },
      std::move(done));
}

std::future<result<receipt>> ledger::receive(checked_payment p) {
  auto [done, future] = promised<receipt>();
  receive(std::move(p), std::move(done));
  return std::move(future);
}

std::future<result<admitted>> ledger::admit(admission a) {
  auto [done, future] = promised<admitted>();
  admit(std::move(a), std::move(done));
  return std::move(future);
}

std::future<result<funded>> ledger::fund(funding f) {
  auto [done, future] = promised<funded>();
  fund(std::move(f), std::move(done));
  return std::move(future);
}

std::future<result<account>> ledger::settle(account_key key, std::string job, rational used) {
  auto [done, future] = promised<account>();
  settle(key, std::move(job), std::move(used), std::move(done));
  return std::move(future);
}

std::future<result<account>> ledger::write_off(address orchestrator, rational to) {
  auto [done, future] = promised<account>();
  write_off(orchestrator, std::move(to), std::move(done));
  return std::move(future);
}

std::future<result<void>> ledger::set_redemption(hash32 ticket, redemption state) {
  auto [done, future] = promised<void>();
  set_redemption(ticket, std::move(state), std::move(done));
  return std::move(future);
}

std::future<result<void>> ledger::forget_expired(std::uint64_t l1_block,
                                                 std::int64_t unix_seconds) {
  auto [done, future] = promised<void>();
  forget_expired(l1_block, unix_seconds, std::move(done));
  return std::move(future);
}

std::future<result<void>> ledger::set_note(std::string name, std::string value) {
  auto [done, future] = promised<void>();
  set_note(std::move(name), std::move(value), std::move(done));
  return std::move(future);
}

}  // namespace lp::payments
