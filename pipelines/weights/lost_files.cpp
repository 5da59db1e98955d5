// SPDX-License-Identifier: MIT
#include "pipelines/weights/lost_files.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

namespace lp::pipelines {

// Of a list that only grows, so that the handler can walk it without a lock. A range whose mapping
// ended is used again; one that was lost is not, since it is asked for its name later.
struct mapping_watch::range {
  std::atomic<std::uintptr_t> begin{0};  ///< 0: watches nothing
  std::atomic<std::uintptr_t> end{0};
  std::atomic<std::uint64_t> lost{0};  ///< the loss's number, from 1; 0: not lost
  std::string file;
  range* next = nullptr;
};

namespace {

using range = mapping_watch::range;

std::mutex writing;  // of the list; the handler only reads it
std::atomic<range*> first{nullptr};
std::atomic<std::uint64_t> losses{0};
struct sigaction others_handler {};

// Told before the zeros can be seen, so that no one who computed with them misses it.
bool lose(range& r, std::uintptr_t begin, std::uintptr_t end) {
  r.lost = losses.fetch_add(1) + 1;
  auto* const at = reinterpret_cast<void*>(begin);
  return ::mmap(at, end - begin, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == at;
}

void pass_on(int signal, siginfo_t* info, void* context) {
  if ((others_handler.sa_flags & SA_SIGINFO) != 0) {
    return others_handler.sa_sigaction(signal, info, context);
  }
  if (others_handler.sa_handler != SIG_DFL && others_handler.sa_handler != SIG_IGN) {
    return others_handler.sa_handler(signal);
  }
  // Where the fault is done again, now to the end, or a signal that was sent comes once more.
  ::signal(signal, SIG_DFL);
  if (info->si_code <= 0) ::raise(signal);
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int kept_errno = errno;
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (range* r = info->si_code > 0 ? first.load() : nullptr; r != nullptr; r = r->next) {
    const std::uintptr_t begin = r->begin;
    const std::uintptr_t end = r->end;
    if (begin == 0 || at < begin || at >= end || !lose(*r, begin, end)) continue;
    errno = kept_errno;
    return;
  }
  pass_on(signal, info, context);
}

void handle_bus_errors() {
  struct sigaction mine {};
  mine.sa_sigaction = on_bus_error;
  mine.sa_flags = SA_SIGINFO;
  sigemptyset(&mine.sa_mask);
  ::sigaction(SIGBUS, &mine, &others_handler);
}

range* free_range() {
  for (range* r = first.load(); r != nullptr; r = r->next) {
    if (r->begin == 0 && r->lost == 0) return r;
  }
  auto* const made = new range;
  made->next = first.load();
  first.store(made);
  return made;
}

}  // namespace

mapping_watch::mapping_watch(void* begin, std::size_t bytes, const std::filesystem::path& file) {
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::lock_guard lock(writing);
  [[maybe_unused]] static const bool handled = (handle_bus_errors(), true);
  range_ = free_range();
  range_->file = file.string();
  const auto at = reinterpret_cast<std::uintptr_t>(begin);
  range_->end = at + (bytes + page - 1) / page * page;
  range_->begin = at;
}

mapping_watch::~mapping_watch() {
  const std::lock_guard lock(writing);
  range_->begin = 0;
}

std::uint64_t lost_files() {
  return losses;
}

result<void> none_lost_since(std::uint64_t before) {
  if (losses == before) return {};
  const std::lock_guard lock(writing);
  std::filesystem::path shown = "a file of weights";
  for (const range* r = first.load(); r != nullptr; r = r->next) {
    if (r->lost <= before) continue;
    const std::filesystem::path file = r->file;
    shown = file.parent_path().filename() / file.filename();
  }
  return fail(ec::load_failed,
              fmt::format("{} can no longer be read: while it was in use it was cut short, or its "
                          "disk went away",
                          shown.string()));
}

}  // namespace lp::pipelines
