// SPDX-License-Identifier: MIT
#include "tools/lp-bench/noop.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "net/http_client.hpp"
#include "runtime/base/log.hpp"
#include "runtime/cluster.hpp"
#include "tools/lp-bench/scratch_folder.hpp"

namespace lp::bench {

namespace {

// The bars on two idle cores, at concurrency 1.
constexpr double bar_cpu_us = 150;
constexpr double bar_p50_ms = 0.5;
constexpr double bar_p99_ms = 3;
constexpr seconds patience{30};

const char* const nodes[] = {"orchestrator", "worker", "gateway"};

// `money`: the folder of the ledgers; empty: every job is free. A paid one takes four tickets.
std::string configuration(std::uint16_t http, std::uint16_t basp, const std::string& money) {
  const std::string payments =
      fmt::format("[payments]\ndata = \"{}\"\nticket_ev = \"100 gwei\"\n", money);
  return fmt::format(R"(
log = "error"
{}
[[gateway]]
name = "gateway"
http = "127.0.0.1:{}"
orchestrators = ["orchestrator"]
[[orchestrator]]
name = "orchestrator"
listen = "127.0.0.1:{}"
{}
[[worker]]
name = "worker"
orchestrator = "orchestrator"
slots = 64
)",
                     money.empty() ? "" : payments, http, basp,
                     money.empty() ? "" : "price_per_unit = \"400 gwei\"");
}

double cpu_us(clockid_t which) {
  timespec t{};
  clock_gettime(which, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
}

// Processor time of a process so far.
double cpu_us_of(pid_t pid) {
  clockid_t which{};
  return clock_getcpuclockid(pid, &which) == 0 ? cpu_us(which) : 0;
}

/// What the clients saw, and what they themselves cost.
struct measured {
  std::vector<double> ms;  ///< sorted
  double client_cpu_us = 0;
  double wall_s = 0;

  double at(double quantile) const {
    return ms[static_cast<std::size_t>(quantile * static_cast<double>(ms.size() - 1))];
  }
};

measured drive(std::uint16_t port, int concurrency, int jobs, const std::string& body) {
  std::atomic<int> left{jobs};
  std::vector<measured> parts(static_cast<std::size_t>(concurrency));
  std::vector<std::thread> threads;
  const time_point start = clock::now();
  for (measured& mine : parts) {
    threads.emplace_back([&mine, &left, &body, port] {
      const double before = cpu_us(CLOCK_THREAD_CPUTIME_ID);
      auto c = net::http_client::connect("127.0.0.1", port, clock::now() + patience);
      while (c && left.fetch_sub(1) > 0) {
        const time_point sent = clock::now();
        const auto reply = c->post_json("/noop", body, sent + patience);
        if (!reply || reply->status != 200) {
          fmt::print(stderr, "a job failed: {}\n", reply ? reply->body : render(reply.error()));
          std::_Exit(EXIT_FAILURE);
        }
        mine.ms.push_back(to_ms(clock::now() - sent));
      }
      mine.client_cpu_us = cpu_us(CLOCK_THREAD_CPUTIME_ID) - before;
    });
  }
  for (std::thread& t : threads) t.join();
  measured all;
  all.wall_s = to_ms(clock::now() - start) / 1000;
  for (const measured& part : parts) {
    all.ms.insert(all.ms.end(), part.ms.begin(), part.ms.end());
    all.client_cpu_us += part.client_cpu_us;
  }
  std::sort(all.ms.begin(), all.ms.end());
  return all;
}

bool wait_ready(std::uint16_t port) {
  const time_point deadline = clock::now() + patience;
  while (clock::now() < deadline) {
    const auto reply = net::http_get(fmt::format("http://127.0.0.1:{}/health", port), deadline);
    if (reply && reply->body.find("\"status\":\"OK\"") != std::string::npos) return true;
    std::this_thread::sleep_for(milliseconds(10));
  }
  fmt::print(stderr, "the cluster does not come up\n");
  return false;
}

// Processor time of a free job in the rows before, by where and at what concurrency.
using free_jobs = std::map<std::pair<std::string, int>, double>;

void print_row(const std::string& where, int concurrency, const measured& m, double cpu,
               std::string detail, bool paid, free_jobs& before) {
  if (paid) {
    detail += fmt::format("   {:.2f} times a free one", cpu / before[{where, concurrency}]);
  } else {
    before[{where, concurrency}] = cpu;
  }
  const double p50 = m.at(0.5);
  const double p99 = m.at(0.99);
  fmt::print("{:<14} {:>4} {:>9.1f} {:>9.3f} {:>9.3f} {:>9.0f}", where + (paid ? ", paid" : ""),
             concurrency, cpu, p50, p99, static_cast<double>(m.ms.size()) / m.wall_s);
  if (concurrency == 1 && !paid) {
    fmt::print("   {:.2f} {:.2f} {:.2f}", cpu / bar_cpu_us, p50 / bar_p50_ms, p99 / bar_p99_ms);
  }
  fmt::print("{}\n", detail);
}

std::string request_body(const noop_options& o) {
  return fmt::format(R"({{"data":"{}"}})", std::string(static_cast<std::size_t>(o.payload), 'x'));
}

int in_one_process(const noop_options& o, bool paid, free_jobs& before_paid) {
  const scratch_folder folder;
  auto config =
      runtime::parse_config(configuration(0, 0, paid ? folder.path().string() : ""), "bench", ".");
  if (!config) return EXIT_FAILURE;
  auto cluster = runtime::cluster::start(std::move(*config));
  if (!cluster) {
    fmt::print(stderr, "{}\n", cluster.error().message);
    return EXIT_FAILURE;
  }
  const std::uint16_t port = (*cluster)->find("gateway")->where().port;
  if (!wait_ready(port)) return EXIT_FAILURE;
  for (const int concurrency : {1, 64}) {
    drive(port, concurrency, o.jobs / 10, request_body(o));
    const double before = cpu_us(CLOCK_PROCESS_CPUTIME_ID);
    const measured m = drive(port, concurrency, o.jobs, request_body(o));
    const double cpu = cpu_us(CLOCK_PROCESS_CPUTIME_ID) - before - m.client_cpu_us;
    print_row("one process", concurrency, m, cpu / o.jobs, "", paid, before_paid);
  }
  return EXIT_SUCCESS;
}

/// lp-runtime processes of one node each, ended with this object.
class processes {
 public:
  processes(std::uint16_t http, std::uint16_t basp, bool paid) {
    const std::string file = folder_.path().string() + "/bench.toml";
    std::ofstream(file) << configuration(http, basp, paid ? folder_.path().string() : "");
    const std::string program =
        std::filesystem::read_symlink("/proc/self/exe").replace_filename("lp-runtime").string();
    for (const char* node : nodes) {
      const pid_t pid = fork();
      if (pid == 0) {
        hear_signals_again();
        execl(program.c_str(), program.c_str(), "--config", file.c_str(), "--node", node, nullptr);
        _exit(127);
      }
      pids.push_back(pid);
      end_when_interrupted(pid);
    }
  }
  ~processes() {
    for (const pid_t pid : pids) kill(pid, SIGTERM);
    for (const pid_t pid : pids) waitpid(pid, nullptr, 0);
    for (const pid_t pid : pids) no_longer_ended(pid);
  }
  processes(const processes&) = delete;
  processes& operator=(const processes&) = delete;

  std::vector<double> cpu() const {
    std::vector<double> out;
    for (const pid_t pid : pids) out.push_back(cpu_us_of(pid));
    return out;
  }

  std::vector<pid_t> pids;

 private:
  scratch_folder folder_;
};

int in_three_processes(const noop_options& o, bool paid, free_jobs& before_paid) {
  constexpr std::uint16_t http = 29935;
  constexpr std::uint16_t basp = 28935;
  const processes all(http, basp, paid);
  if (!wait_ready(http)) return EXIT_FAILURE;
  for (const int concurrency : {1, 64}) {
    drive(http, concurrency, o.jobs / 10, request_body(o));
    const std::vector<double> before = all.cpu();
    const measured m = drive(http, concurrency, o.jobs, request_body(o));
    const std::vector<double> after = all.cpu();
    double sum = 0;
    std::string detail = "  ";
    for (std::size_t i = 0; i < after.size(); ++i) {
      const double each = (after[i] - before[i]) / o.jobs;
      sum += each;
      detail += fmt::format(" {} {:.1f}", nodes[i], each);
    }
    print_row("three", concurrency, m, sum, detail, paid, before_paid);
  }
  return EXIT_SUCCESS;
}

}  // namespace

void add_noop_options(CLI::App& command, noop_options& options) {
  command.add_option("--jobs", options.jobs, "Jobs a row")->check(CLI::Range(100, 10'000'000));
  command.add_option("--payload", options.payload, "Bytes there and back")
      ->check(CLI::Range(0, 1 << 20));
  command.add_flag("--paid", options.paid, "Measure jobs that are paid with tickets, too");
}

int bench_noop(const noop_options& options) {
  std::signal(SIGPIPE, SIG_IGN);
  log::set_level(log::level::error);
  fmt::print("{:<14} {:>4} {:>9} {:>9} {:>9} {:>9}   {}\n", "processes", "at", "cpu us", "p50 ms",
             "p99 ms", "jobs/s", "of the bars (150 us, 0.5 ms, 3 ms)");
  // The processes first: a fork must not follow the threads of a cluster in this one.
  free_jobs before;
  for (const auto run : {in_three_processes, in_one_process}) {
    for (const bool paid : {false, true}) {
      if (paid && !options.paid) continue;
      if (const int rc = run(options, paid, before); rc != EXIT_SUCCESS) return rc;
    }
  }
  return EXIT_SUCCESS;
}

}  // namespace lp::bench
