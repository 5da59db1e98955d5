// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::runtime {

/// A program that runs beside this one and never outlives it: it is killed when this process dies,
/// however that happens.
class child_process {
 public:
  using line_handler = std::function<void(const std::string&)>;

  /// `command` begins with the program's path. Its output (standard output and error) goes to
  /// `on_line`, a line at a time and on a thread of this object.
  static result<std::unique_ptr<child_process>> start(std::vector<std::string> command,
                                                      line_handler on_line);
  /// As stop(), with five seconds for the program to end by itself.
  ~child_process();
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  pid_t pid() const { return pid_; }
  bool running() const;
  /// SIGTERM, and SIGKILL at the deadline. Returns when it is gone. Idempotent.
  void stop(time_point deadline);
  /// SIGKILL.
  void kill();

 private:
  child_process() = default;
  void run(std::vector<std::string> command, const line_handler& on_line);
  void signal(int number) const;
  bool wait_for_end(time_point deadline);

  pid_t pid_ = -1;
  int start_failure_ = 0;
  bool started_ = false, ended_ = false;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace lp::runtime
