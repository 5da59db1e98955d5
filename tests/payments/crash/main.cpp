// SPDX-License-Identifier: MIT
// The program that the crash test kills: an orchestrator and a gateway on one ledger, as busy as
// they can be, until they die.
#include <atomic>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <fmt/core.h>

#include "payments/ledger.hpp"
#include "payments/recipient.hpp"
#include "tests/payments/crash/acks.hpp"

namespace lp::payments::crash {
namespace {

constexpr std::int64_t now = 1'000'000;
const std::string scope = "27_shapes-64";

// One write a line: a line is there as a whole or not at all.
void say(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(STDOUT_FILENO, text.data(), text.size()) < 0) ::_exit(0);
}

class busy_node {
 public:
  busy_node(ledger& book, std::uint64_t seed)
      : book_(book),
        seed_(seed),
        gateway_(gateway_key()),
        orchestrator_(orchestrator_key()),
        taker_(orchestrator_.address(), book.node_secret(), config()) {
    view_.l1_block = 1000;
  }

  // Payments without jobs, several on their way at a time.
  void receive() {
    for (;;) {
      const ticket_params params = offer();
      for (std::uint32_t first = 1; first < 60; first += 3) {
        while (waiting_.load() > 30) std::this_thread::yield();
        ++waiting_;
        book_.receive(checked(params, first, 3), [this, params, first](result<receipt> r) {
          --waiting_;
          if (r && r->accepted == 3) {
            say(fmt::format("taken {} {} 3", params.recipient_rand_hash.hex(), first));
          }
        });
      }
    }
  }

  void run_jobs_here() {
    for (std::uint64_t n = seed_;; ++n) {
      const ticket_params params = offer();
      const auto count =
          static_cast<std::uint32_t>(tickets_needed(0, quoted(n), expected_value(params)));
      job_authorization a;
      a.orchestrator = orchestrator_.address();
      a.job = std::to_string(n);
      a.scope = scope;
      a.max_charge = to_u256(ceil(quoted(n)), "charge").value();
      a.expires_at = now + 60;
      sign_authorization(a, gateway_);
      if (!book_.admit({a, quoted(n), checked(params, 1, count), now}).get()) ::_exit(3);
      say(fmt::format("taken {} 1 {}", params.recipient_rand_hash.hex(), count));
      if (!book_.settle({side::incoming, gateway_.address()}, a.job, used(n)).get()) ::_exit(4);
      say(fmt::format("in {}", n));
    }
  }

  void run_jobs_there() {
    sender_config limits;
    limits.max_exposure = max_u256();
    for (std::uint64_t n = seed_;; ++n) {
      const ticket_params params = offer();
      const auto funded = book_.fund({params, std::to_string(n), quoted(n), {}, limits}).get();
      if (!funded) ::_exit(5);
      say(fmt::format("sent {} {} {}", params.recipient_rand_hash.hex(), funded->first_nonce,
                      funded->count));
      if (!book_.settle({side::outgoing, orchestrator_.address()}, std::to_string(n), used(n))
               .get()) {
        ::_exit(6);
      }
      say(fmt::format("out {}", n));
    }
  }

 private:
  static recipient_config config() {
    recipient_config out;
    out.tx_cost_multiplier = 5;
    return out;
  }
  ticket_params offer() const {
    return taker_.offer({gateway_.address(), price{rational(3, 2)}, scope}, view_, {}, 0).value();
  }
  checked_payment checked(const ticket_params& params, std::uint32_t first,
                          std::uint32_t count) const {
    const payment p{params, gateway_.address(), rational(3, 2),
                    sign_tickets(gateway_, params, first, count)};
    return taker_.check(p, scope, view_, {}).value();
  }

  ledger& book_;
  std::uint64_t seed_;
  private_key gateway_;
  private_key orchestrator_;
  recipient taker_;
  chain_view view_;
  std::atomic<int> waiting_{0};
};

int run(const std::string& file, std::uint64_t seed) {
  auto book = ledger::open({file});
  if (!book) {
    fmt::print(stderr, "{}\n", book.error().message);
    return 2;
  }
  busy_node node(**book, seed);
  say("ready");
  std::thread here([&] { node.run_jobs_here(); });
  std::thread there([&] { node.run_jobs_there(); });
  node.receive();
  return 0;
}

}  // namespace
}  // namespace lp::payments::crash

int main(int count, char** values) {
  if (count != 3) return 2;
  return lp::payments::crash::run(values[1], std::stoull(values[2]));
}
