// SPDX-License-Identifier: MIT
#include "runtime/chain/child_process.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/core.h>

namespace lp::runtime {

namespace {

constexpr std::size_t longest_line = 16 * 1024;

// Between fork and exec only what a signal handler may do is allowed.
[[noreturn]] void become(char* const* arguments, int output, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died in between
  // Signals that the parent blocks would stay blocked.
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // A terminal's Ctrl-C is for the parent, which ends the child in order.
  ::setpgid(0, 0);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execv(arguments[0], arguments);
  ::_exit(127);
}

void read_lines(int fd, const child_process::line_handler& on_line) {
  std::string line;
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::read(fd, buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    for (const char c : std::string_view(buffer, static_cast<std::size_t>(n))) {
      if (c == '\n' || line.size() >= longest_line) {
        on_line(line);
        line.clear();
      }
      if (c != '\n') line.push_back(c);
    }
  }
}

}  // namespace

result<std::unique_ptr<child_process>> child_process::start(std::vector<std::string> command,
                                                            line_handler on_line) {
  if (command.empty() || ::access(command.front().c_str(), X_OK) != 0) {
    return fail(ec::bad_file, fmt::format("{}: expected a program that can be run",
                                          command.empty() ? "" : command.front()));
  }
  std::unique_ptr<child_process> out(new child_process);
  child_process* const raw = out.get();
  // The kernel ends the child when the thread that made it ends, so that thread stays with it.
  raw->thread_ = std::thread([raw, command = std::move(command), on_line = std::move(on_line)] {
    raw->run(command, on_line);
  });
  std::unique_lock lock(raw->mutex_);
  raw->changed_.wait(lock, [raw] { return raw->started_; });
  if (raw->start_failure_ != 0) {
    return fail(ec::internal, fmt::format("fork: {}", std::strerror(raw->start_failure_)));
  }
  return out;
}

void child_process::run(std::vector<std::string> command, const line_handler& on_line) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (std::string& a : command) arguments.push_back(a.data());
  arguments.push_back(nullptr);
  int ends[2] = {-1, -1};
  const pid_t parent = ::getpid();
  pid_t child = -1;
  if (::pipe2(ends, O_CLOEXEC) == 0) child = ::fork();
  if (child == 0) become(arguments.data(), ends[1], parent);
  const int failure = errno;
  if (ends[1] >= 0) ::close(ends[1]);
  {
    const std::lock_guard lock(mutex_);
    pid_ = child;
    start_failure_ = child < 0 ? failure : 0;
    started_ = true;
  }
  changed_.notify_all();
  if (child > 0) {
    read_lines(ends[0], on_line);
    // Waited for without being reaped first, so that signal() never meets another's number.
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) < 0 &&
           errno == EINTR) {
    }
  }
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    if (child > 0) ::waitpid(child, nullptr, 0);
  }
  changed_.notify_all();
  if (ends[0] >= 0) ::close(ends[0]);
}

bool child_process::running() const {
  const std::lock_guard lock(mutex_);
  return !ended_;
}

void child_process::signal(int number) const {
  const std::lock_guard lock(mutex_);
  if (!ended_ && pid_ > 0) ::kill(pid_, number);
}

bool child_process::wait_for_end(time_point deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline, [this] { return ended_; });
}

void child_process::stop(time_point deadline) {
  signal(SIGTERM);
  if (!wait_for_end(deadline)) kill();
  if (thread_.joinable()) thread_.join();
}

void child_process::kill() {
  signal(SIGKILL);
}

child_process::~child_process() {
  stop(clock::now() + std::chrono::seconds(5));
}

}  // namespace lp::runtime
