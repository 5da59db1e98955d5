// SPDX-License-Identifier: MIT
#include "tools/lp-bench/scratch_folder.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
#include <thread>

#include <sys/wait.h>

namespace lp::bench {

namespace fs = std::filesystem;

namespace {

struct remains {
  std::mutex mutex;
  std::set<fs::path> folders;
  std::set<pid_t> children;
};
// Lives to the end: the thread that waits for signals may outlive main().
remains& left() {
  static auto* const all = new remains;
  return *all;
}

// Under nohup a hang-up is none.
sigset_t interruptions() {
  sigset_t out;
  sigemptyset(&out);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&out, signal);
  struct sigaction now {};
  if (::sigaction(SIGHUP, nullptr, &now) != 0 || now.sa_handler != SIG_IGN) {
    sigaddset(&out, SIGHUP);
  }
  return out;
}

// Somebody may still be writing: what comes after the last entry was removed is removed, too.
void take_away(const fs::path& folder) {
  std::error_code bad;
  for (int tries = 0; tries < 100; ++tries) {
    fs::remove_all(folder, bad);
    if (!bad) return;
  }
}

void end(int signal) {
  remains& all = left();
  const std::lock_guard lock(all.mutex);
  for (const pid_t child : all.children) ::kill(child, SIGTERM);
  for (const pid_t child : all.children) ::waitpid(child, nullptr, 0);
  for (const fs::path& folder : all.folders) take_away(folder);
  ::signal(signal, SIG_DFL);
  const sigset_t waited = interruptions();
  ::pthread_sigmask(SIG_UNBLOCK, &waited, nullptr);
  ::raise(signal);
}

}  // namespace

scratch_folder::scratch_folder(const fs::path& parent) {
  remains& all = left();
  const std::lock_guard lock(all.mutex);
  std::string name = ((parent.empty() ? fs::temp_directory_path() : parent) / "lp-bench-XXXXXX");
  if (::mkdtemp(name.data()) == nullptr) {
    throw fs::filesystem_error("no folder can be made", name,
                               std::error_code(errno, std::generic_category()));
  }
  path_ = name;
  all.folders.insert(path_);
}

scratch_folder::~scratch_folder() {
  remains& all = left();
  const std::lock_guard lock(all.mutex);
  take_away(path_);
  all.folders.erase(path_);
}

void end_when_interrupted(pid_t child) {
  remains& all = left();
  const std::lock_guard lock(all.mutex);
  all.children.insert(child);
}

void no_longer_ended(pid_t child) {
  remains& all = left();
  const std::lock_guard lock(all.mutex);
  all.children.erase(child);
}

void clean_up_when_interrupted() {
  const sigset_t waited = interruptions();
  ::pthread_sigmask(SIG_BLOCK, &waited, nullptr);
  std::thread([waited] {
    int signal = 0;
    while (::sigwait(&waited, &signal) != 0) {
    }
    end(signal);
  }).detach();
}

void hear_signals_again() {
  const sigset_t waited = interruptions();
  ::pthread_sigmask(SIG_UNBLOCK, &waited, nullptr);
}

}  // namespace lp::bench
