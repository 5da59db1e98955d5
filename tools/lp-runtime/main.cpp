// SPDX-License-Identifier: MIT
// Runs the nodes of a configuration file until it is told to stop.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <fmt/core.h>
#include <pthread.h>
#include <CLI/CLI.hpp>

#include "pipelines/engine.hpp"
#include "runtime/base/bytes.hpp"
#include "runtime/base/log.hpp"
#include "runtime/cluster.hpp"

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

// Ends the process if an orderly end takes far longer than promised, so that a defect in stopping
// never looks like a node that still works.
void guard_shutdown(lp::milliseconds limit) {
  std::thread([limit] {
    std::this_thread::sleep_for(limit);
    lp::log::error("runtime", "stopping took too long; giving up");
    std::_Exit(exit_undrained);
  }).detach();
}

// The signals are blocked in every thread, so only this wait sees them.
int wait_for_signal(const sigset_t& signals) {
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) {
  }
  return signal;
}

// Takes the prices of the changed file; a file with a mistake changes nothing.
void reload(lp::runtime::cluster& cluster, const std::string& file) {
  const auto fresh = lp::runtime::load_config(file);
  if (fresh) return cluster.reload(*fresh);
  lp::log::error("runtime", "{}; the configuration in effect stays", fresh.error().message);
}

int run(lp::runtime::config c, const std::string& file, const std::string& only,
        const sigset_t& signals) {
  const lp::milliseconds drain = c.drain_timeout;
  auto cluster = lp::runtime::cluster::start(std::move(c), only);
  if (!cluster) return complain(cluster.error());
  lp::log::info("runtime", "ready");
  int signal = wait_for_signal(signals);
  for (; signal == SIGHUP; signal = wait_for_signal(signals)) reload(**cluster, file);
  lp::log::info("runtime", "{}: finishing jobs under way, at most {} s", strsignal(signal),
                drain.count() / 1000.0);
  guard_shutdown(drain + lp::seconds(15));
  if (!(*cluster)->shut_down(lp::clock::now() + drain)) {
    lp::log::warn("runtime", "some jobs did not finish in time and were answered with an error");
  }
  lp::log::info("runtime", "stopped");
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"lp-runtime: gateways, orchestrators and GPU workers of one configuration file"};
  std::string file;
  std::string only;
  bool check = false;
  bool devices = false;
  app.add_option("-c,--config", file, "The configuration file (TOML)");
  app.add_option("-n,--node", only, "Start only the node of that name");
  app.add_flag("--check", check, "Check the configuration, print what is in effect, and end");
  app.add_flag("--devices", devices, "List the devices that workers can use, and end");
  app.set_version_flag("-V,--version", "lp-runtime " + lp::runtime::version());
  CLI11_PARSE(app, argc, argv);
  if (devices) return list_devices();
  if (file.empty()) {
    fmt::print(stderr, "lp-runtime: --config FILE is needed; see --help\n");
    return exit_config;
  }
  auto c = lp::runtime::load_config(file);
  if (!c) return complain(c.error());
  if (check) {
    fmt::print("{}", lp::runtime::to_toml(*c));
    return EXIT_SUCCESS;
  }
  lp::log::set_level(c->log);
  // Blocked before any thread is started, so that all inherit it.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return run(std::move(*c), file, only, signals);
}
