// SPDX-License-Identifier: MIT
// Runs the nodes of a configuration file until it is told to stop.
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/core.h>
#include <pthread.h>
#include <sys/resource.h>
#include <CLI/CLI.hpp>

#include "pipelines/engine.hpp"
#include "runtime/base/bytes.hpp"
#include "runtime/base/log.hpp"
#include "runtime/cluster.hpp"
#include "runtime/library_messages.hpp"
#include "runtime/preflight.hpp"
#include "tools/command_line.hpp"

namespace {

// Exit statuses, after sysexits.h.
constexpr int exit_config = 78;
constexpr int exit_undrained = 75;

int complain(const lp::error& e) {
  fmt::print(stderr, "lp-runtime: {}\n", e.message);
  return exit_config;
}

int list_devices() {
  const auto engine = lp::pipelines::get_engine();
  if (!engine) return complain(engine.error());
  fmt::print("{}\n", (*engine)->version());
  for (const lp::pipelines::device_info& d : (*engine)->devices()) {
    fmt::print("{:<8} {:<40} {:>10}  {}\n", d.id, d.name, lp::human_bytes(d.memory_bytes),
               d.detail);
  }
  return EXIT_SUCCESS;
}

// Beyond drain_timeout: what stopping may take once nothing is waited for any more.
constexpr lp::seconds stopping{10};
// Of a start that is given up. Nothing was promised yet.
constexpr lp::seconds giving_up{2};

// Ends the process if an orderly end takes longer than promised, whatever a node is busy with.
void guard_shutdown(lp::milliseconds limit) {
  std::thread([limit] {
    std::this_thread::sleep_for(limit);
    lp::log::error("runtime",
                   "still not stopped after {} s: the process ends now; what was under way is lost",
                   limit.count() / 1000.0);
    std::_Exit(exit_undrained);
  }).detach();
}

// Connections, models and files are descriptors; the usual soft limit is for programs that use
// select().
void raise_descriptor_limit() {
  rlimit has{};
  if (::getrlimit(RLIMIT_NOFILE, &has) != 0) return;
  has.rlim_cur = has.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &has);
}

// Listens from before the start on: a node is to be stopped while it starts, too. The signals are
// blocked in every thread, so only this one sees them.
class signal_watch {
 public:
  signal_watch(const sigset_t& signals, lp::milliseconds drain) : drain_(drain) {
    std::thread([this, signals] { listen(signals); }).detach();
  }

  void started() {
    const std::lock_guard lock(mutex_);
    started_ = true;
  }

  /// The next signal; once one came that stops the node it is guarded.
  int next() {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [&] { return !seen_.empty(); });
    const int signal = seen_.front();
    seen_.pop_front();
    return signal;
  }

 private:
  [[noreturn]] void listen(const sigset_t& signals) {
    bool guarded = false;
    for (;;) {
      int signal = 0;
      if (sigwait(&signals, &signal) != 0) continue;
      const std::lock_guard lock(mutex_);
      if (signal != SIGHUP && !std::exchange(guarded, true)) {
        guard_shutdown(started_ ? drain_ + stopping : lp::milliseconds(giving_up));
      }
      seen_.push_back(signal);
      came_.notify_one();
    }
  }

  lp::milliseconds drain_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<int> seen_;
  bool started_ = false;
};

// Takes the prices of the changed file; a file with a mistake changes nothing.
void reload(lp::runtime::cluster& cluster, const std::string& file) {
  const auto fresh = lp::runtime::load_config(file);
  if (fresh) return cluster.reload(*fresh);
  lp::log::error("runtime", "{}; the configuration in effect stays", fresh.error().message);
}

int run(lp::runtime::config c, const std::string& file, const std::string& only,
        const sigset_t& signals) {
  const lp::milliseconds drain = c.drain_timeout;
  // Lives to the end of the process, as its thread does.
  static auto* const watch = new signal_watch(signals, drain);
  for (const std::string& w : c.warnings) lp::log::warn("runtime", "{}", w);
  auto cluster = lp::runtime::cluster::start(std::move(c), only);
  if (!cluster) return complain(cluster.error());
  watch->started();
  lp::log::info("runtime", "ready");
  int signal = watch->next();
  for (; signal == SIGHUP; signal = watch->next()) reload(**cluster, file);
  lp::log::info("runtime", "{}: finishing jobs under way, at most {} s", strsignal(signal),
                drain.count() / 1000.0);
  if (!(*cluster)->shut_down(lp::clock::now() + drain)) {
    lp::log::warn("runtime", "some jobs did not finish in time and were given up");
  }
  lp::log::info("runtime", "stopped");
  return EXIT_SUCCESS;
}

int check(const lp::runtime::config& c, const std::string& only) {
  const lp::runtime::findings found = lp::runtime::look_ahead(c, only);
  fmt::print("{}", lp::runtime::to_toml(c));
  std::fflush(stdout);
  for (const std::string& w : found.warnings) fmt::print(stderr, "lp-runtime: warning: {}\n", w);
  for (const std::string& m : found.mistakes) fmt::print(stderr, "lp-runtime: {}\n", m);
  return found.mistakes.empty() ? EXIT_SUCCESS : exit_config;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"lp-runtime: gateways, orchestrators and GPU workers of one configuration file"};
  std::string file;
  std::string only;
  bool only_check = false;
  bool devices = false;
  app.add_option("-c,--config", file, "The configuration file (TOML)");
  app.add_option("-n,--node", only, "Start only the node of that name");
  app.add_flag("--check", only_check,
               "Check the configuration, and what its nodes (or --node) need on this host, print "
               "what is in effect, and end");
  app.add_flag("--devices", devices, "List the devices that workers can use, and end");
  app.set_version_flag("-V,--version", "lp-runtime " + lp::runtime::version());
  if (const auto over = lp::read_command_line(app, argc, argv)) return *over;
  if (devices) return list_devices();
  if (file.empty()) {
    fmt::print(stderr, "lp-runtime: --config FILE is needed; see --help\n");
    return exit_config;
  }
  auto c = lp::runtime::load_config(file);
  if (!c) return complain(c.error());
  if (auto ok = lp::runtime::find_node(*c, only); !ok) return complain(ok.error());
  if (only_check) return check(*c, only);
  lp::log::set_level(c->log);
  lp::runtime::log_library_messages();
  // Blocked before any thread is started, so that all inherit it.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  return run(std::move(*c), file, only, signals);
}
