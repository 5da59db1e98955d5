// SPDX-License-Identifier: MIT
// Kills a busy node at random moments. Whatever it had said to be done is there afterwards, once,
// and every balance is right to the last fraction of a wei.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "payments/ledger.hpp"
#include "tests/payments/crash/acks.hpp"
#include "tests/payments/parties.hpp"

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace lp::payments::crash {
namespace {

constexpr int rounds = 210;
// A new file now and then, so that files being made are killed too and audits stay short.
constexpr int rounds_a_file = 6;

using ticket_name = std::pair<std::string, std::uint32_t>;

struct acknowledged {
  std::set<ticket_name> taken;
  std::set<ticket_name> sent;
  std::set<std::string> settled_in;
  std::set<std::string> settled_out;
  std::size_t lines = 0;

  void add(const std::string& line) {
    std::istringstream words(line);
    std::string what, name;
    words >> what >> name;
    if (what == "in") settled_in.insert(name);
    if (what == "out") settled_out.insert(name);
    std::uint32_t first = 0, count = 0;
    words >> first >> count;
    for (std::uint32_t i = 0; i < count; ++i) {
      (what == "taken" ? taken : sent).emplace(name, first + i);
    }
    ++lines;
  }
};

/// A run of the program.
class victim {
 public:
  victim(const std::string& file, std::uint64_t seed) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    out_ = ends[0];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    std::string program = LP_BINARY_DIR "/bin/ledger_victim";
    std::string path = file;
    std::string number = std::to_string(seed);
    char* arguments[] = {program.data(), path.data(), number.data(), nullptr};
    EXPECT_EQ(::posix_spawn(&id_, program.c_str(), &actions, nullptr, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
  }
  ~victim() { ::close(out_); }

  /// Kills it `delay` after it has said `lines` lines.
  void kill_after(std::ptrdiff_t lines, std::chrono::microseconds delay) {
    using clock = std::chrono::steady_clock;
    bool heard = lines == 0;
    auto end = clock::now() + (heard ? delay : std::chrono::seconds(60));
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(end - clock::now());
      if (left.count() <= 0) break;
      const timespec wait{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
      pollfd watched{out_, POLLIN, 0};
      if (::ppoll(&watched, 1, &wait, nullptr) <= 0 || !read_some()) break;
      if (!heard && std::count(text_.begin(), text_.end(), '\n') >= lines) {
        heard = true;
        end = clock::now() + delay;
      }
    }
    ::kill(id_, SIGKILL);
    int status = 0;
    ::waitpid(id_, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "it ended by itself: " << WEXITSTATUS(status);
    while (read_some()) {
    }
  }

  std::string said() const { return text_; }

 private:
  bool read_some() {
    char buffer[65536];
    const auto got = ::read(out_, buffer, sizeof buffer);
    if (got > 0) text_.append(buffer, static_cast<std::size_t>(got));
    return got > 0;
  }

  pid_t id_ = 0;
  int out_ = -1;
  std::string text_;
};

// By its payments and settled jobs alone, without the event log's help for what came in.
void expect_balance(const ledger& book, const account_key& key,
                    const std::vector<payment_line>& payments, const std::set<std::string>& settled,
                    const std::vector<event_line>& events) {
  rational expected = 0;
  for (const payment_line& p : payments) {
    expected += expected_value(p.params) * static_cast<std::uint64_t>(p.nonces.size());
  }
  // Of a job that was not reported to be settled: what the log says, which is what it used, or
  // nothing (an orchestrator's lost job), or all of it (a gateway's).
  std::map<std::string, rational> debits;
  for (const event_line& e : events) {
    if (e.what.account != key) continue;
    if (e.what.kind == event_kind::reserve) debits[e.what.job];
    if (e.what.kind == event_kind::debit) debits[e.what.job] += e.what.amount;
  }
  for (const auto& [job, debit] : debits) {
    const std::uint64_t n = std::stoull(job);
    const rational lost = key.of == side::incoming ? rational(0) : quoted(n);
    EXPECT_TRUE(debit == used(n) || (settled.count(job) == 0 && debit == lost)) << job;
    expected -= debit;
  }
  for (const std::string& job : settled) EXPECT_EQ(debits.count(job), 1U) << job;
  const account found = book.balance(key).value();
  EXPECT_EQ(found.credit, expected);
  EXPECT_EQ(found.reserved, 0);
}

void expect_tickets(const std::vector<payment_line>& payments, const std::set<ticket_name>& said) {
  std::set<ticket_name> there;
  for (const payment_line& p : payments) {
    for (const std::uint32_t n : p.nonces) {
      EXPECT_TRUE(there.emplace(p.params.recipient_rand_hash.hex(), n).second) << "counted twice";
    }
  }
  for (const ticket_name& t : said) {
    EXPECT_EQ(there.count(t), 1U) << "lost: " << t.first << " " << t.second;
  }
}

void expect_no_replay(ledger& book, const acknowledged& said, const payment_line& p) {
  const private_key gateway = gateway_key();
  recipient_config config;
  config.tx_cost_multiplier = 5;
  const recipient taker(orchestrator_key().address(), book.node_secret(), config);
  chain_view view;
  view.l1_block = 1000;
  const payment again{p.params, gateway.address(), rational(3, 2),
                      sign_tickets(gateway, p.params, p.nonces.front(), 1)};
  const auto checked = taker.check(again, "27_shapes-64", view, {});
  ASSERT_TRUE(checked) << checked.error().message;
  EXPECT_EQ(book.receive(*checked).get().value().accepted, 0U);
  EXPECT_FALSE(said.taken.empty());
}

void inspect(const std::string& file, const acknowledged& said) {
  auto book = ledger::open({file});
  ASSERT_TRUE(book) << book.error().message;
  const auto taken = (*book)->payments(side::incoming, 1'000'000).value();
  const auto sent = (*book)->payments(side::outgoing, 1'000'000).value();
  const auto events = (*book)->history(0, 1'000'000).value();
  expect_tickets(taken, said.taken);
  expect_tickets(sent, said.sent);
  expect_balance(**book, {side::incoming, gateway_key().address()}, taken, said.settled_in, events);
  expect_balance(**book, {side::outgoing, orchestrator_key().address()}, sent, said.settled_out,
                 events);
  if (!said.taken.empty()) expect_no_replay(**book, said, taken.back());
  const auto report = (*book)->audit().value();
  for (const std::string& problem : report.problems) ADD_FAILURE() << problem;
}

TEST(crash, at_any_moment_loses_and_doubles_nothing) {
  std::mt19937_64 random(std::random_device{}());
  std::size_t tickets = 0;
  std::size_t settled = 0;
  int silent = 0;
  for (int round = 0; round < rounds;) {
    const testing::scratch_folder folder;
    const std::string file = (folder / "ledger.sqlite").string();
    acknowledged said;
    for (int i = 0; i < rounds_a_file && round < rounds; ++i, ++round) {
      SCOPED_TRACE(round);
      victim v(file, static_cast<std::uint64_t>(round) * 1'000'000);
      // Every fourth is killed while it starts or soon after, the others while they are busy.
      const auto lines_first = round % 4 == 0 ? 0 : static_cast<std::ptrdiff_t>(1 + random() % 60);
      v.kill_after(lines_first,
                   std::chrono::microseconds(random() % (lines_first == 0 ? 15'000 : 2'000)));
      std::istringstream lines(v.said());
      const std::size_t before = said.lines;
      for (std::string line; std::getline(lines, line);) said.add(line);
      if (said.lines <= before + 1) ++silent;
      inspect(file, said);
      if (HasFatalFailure() || HasNonfatalFailure()) return;
    }
    tickets += said.taken.size() + said.sent.size();
    settled += said.settled_in.size() + said.settled_out.size();
  }
  // Most of them were killed while they were busy.
  EXPECT_GT(tickets, 3000U);
  EXPECT_GT(settled, 50U);
  EXPECT_LT(silent, rounds / 2);
  std::printf("%d kills, %zu tickets and %zu jobs had been reported\n", rounds, tickets, settled);
}

}  // namespace
}  // namespace lp::payments::crash
