// SPDX-License-Identifier: MIT
#include "tools/lp-bench/tickets.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <thread>
#include <vector>

#include <sched.h>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "payments/ledger.hpp"
#include "payments/recipient.hpp"
#include "tools/lp-bench/scratch_folder.hpp"

namespace lp::bench {

namespace {

using namespace payments;

const std::string scope = "27_shapes-64";
constexpr std::uint32_t tickets_of_a_session = 600;

double processor_seconds() {
  timespec t = {};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct spent {
  double wall = wall_seconds();
  double processor = processor_seconds();
  void stop() {
    wall = wall_seconds() - wall;
    processor = processor_seconds() - processor;
  }
};

// The first `count` of the cores that this process may use.
void keep_to(int count) {
  cpu_set_t allowed, chosen;
  CPU_ZERO(&chosen);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  for (int core = 0; core < CPU_SETSIZE && count > 0; ++core) {
    if (!CPU_ISSET(core, &allowed)) continue;
    CPU_SET(core, &chosen);
    --count;
  }
  ::sched_setaffinity(0, sizeof chosen, &chosen);
}

struct parties {
  private_key gateway = private_key::generate();
  private_key orchestrator = private_key::generate();
  price agreed{rational(3, 2)};
  chain_view view{1000, 0, {}, 0, 0};
};

std::vector<payment> sign(const parties& p, const recipient& taker, const tickets_options& o) {
  std::vector<payment> out;
  int left = o.tickets;
  while (left > 0) {
    const ticket_params params =
        taker.offer({p.gateway.address(), p.agreed, scope}, p.view, {}, 0).value();
    for (std::uint32_t first = 1; first <= tickets_of_a_session && left > 0;) {
      const auto room = static_cast<int>(tickets_of_a_session - first + 1);
      const int count = std::min({o.batch, room, left});
      out.push_back({params, p.gateway.address(), p.agreed.wei_per_unit,
                     sign_tickets(p.gateway, params, first, static_cast<std::uint32_t>(count))});
      first += static_cast<std::uint32_t>(count);
      left -= count;
    }
  }
  return out;
}

// Recovery alone, of the same signatures, on one thread.
double raw_rate(const parties& p, const std::vector<payment>& payments) {
  std::vector<std::pair<hash32, signature>> signed_hashes;
  for (const payment& one : payments) {
    for (const ticket_signature& t : one.tickets) {
      if (signed_hashes.size() == 10'000) break;
      const ticket whole = make_ticket(one.params, p.gateway.address(), t.nonce);
      signed_hashes.emplace_back(personal_digest(ticket_hash(whole)), t.sig);
    }
  }
  spent s;
  std::size_t good = 0;
  for (const auto& [digest, sig] : signed_hashes) good += recover(digest, sig) ? 1 : 0;
  s.stop();
  return static_cast<double>(good) / s.processor;
}

// Verified by `receivers` threads, handed to the ledger as they come, until the last is durable.
std::size_t receive_all(ledger& book, const recipient& taker, const parties& p,
                        const std::vector<payment>& payments, const tickets_options& o) {
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> accepted{0};
  std::atomic<std::size_t> waiting{payments.size()};
  const auto work = [&] {
    for (std::size_t i = next++; i < payments.size(); i = next++) {
      auto checked = taker.check(payments[i], scope, p.view, {});
      if (!checked) {
        --waiting;
        continue;
      }
      book.receive(std::move(*checked), [&](result<receipt> r) {
        if (r) accepted += r->accepted;
        if (--waiting == 0) waiting.notify_all();
      });
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < o.receivers; ++i) threads.emplace_back(work);
  for (std::thread& t : threads) t.join();
  for (std::size_t left = waiting; left > 0; left = waiting) waiting.wait(left);
  return accepted;
}

int run(const tickets_options& o) {
  // Before any thread starts: threads inherit it.
  keep_to(o.cores);
  const scratch_folder folder(o.folder);
  ledger_options options{(folder.path() / "ledger.sqlite").string()};
  options.max_queue = options.max_queued_tickets = 1'000'000;
  const auto book = ledger::open(options);
  if (!book) {
    fmt::print(stderr, "lp-bench: {}\n", book.error().message);
    return 1;
  }
  const parties p;
  const recipient taker(p.orchestrator.address(), (*book)->node_secret(), {});
  const auto payments = sign(p, taker, o);
  const double raw = raw_rate(p, payments);
  spent s;
  const std::size_t accepted = receive_all(**book, taker, p, payments, o);
  s.stop();
  const ledger_stats stats = (*book)->stats();
  const auto audit = (*book)->audit();
  const bool sound = audit && audit->ok() && accepted == static_cast<std::size_t>(o.tickets);
  const auto n = static_cast<double>(accepted);
  fmt::print("{} tickets in {} payments, {} commits, {} core{}, {} receiving thread{}\n", accepted,
             payments.size(), stats.commits, o.cores, o.cores == 1 ? "" : "s", o.receivers,
             o.receivers == 1 ? "" : "s");
  fmt::print("signature recovery alone          {:>8.0f} tickets/s of a core\n", raw);
  fmt::print("verified, not replayed, durable   {:>8.0f} tickets/s of a core ({:.0f} % of that)\n",
             n / s.processor, n / s.processor / raw * 100);
  fmt::print("                                  {:>8.0f} tickets/s by the clock, {:.0f} % busy\n",
             n / s.wall, s.processor / s.wall * 100);
  fmt::print("audit                             {}\n", sound ? "everything agrees" : "FAILED");
  return sound ? 0 : 1;
}

}  // namespace

void add_tickets_options(CLI::App& command, tickets_options& options) {
  command.add_option("--tickets", options.tickets, "how many, signed beforehand")
      ->check(CLI::Range(1, 10'000'000));
  command.add_option("--batch", options.batch, "tickets in a payment")->check(CLI::Range(1, 600));
  command.add_option("--cores", options.cores, "cores that may be used")
      ->check(CLI::Range(1, 1024));
  command.add_option("--receivers", options.receivers, "threads that verify")
      ->check(CLI::Range(1, 1024));
  command.add_option("--dir", options.folder,
                     "Where the ledger's temporary folder is made, on the disk to measure");
}

int bench_tickets(const tickets_options& options) {
  return run(options);
}

}  // namespace lp::bench
