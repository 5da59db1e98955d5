// SPDX-License-Identifier: MIT
// The ledger's writer thread, its queue and its group commits.
#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "payments/ledger.hpp"
#include "payments/ledger_state.hpp"
#include "payments/ledger_store.hpp"
#include "payments/sqlite.hpp"

namespace lp::payments {

/// An exclusive lock on "<file>.lock" for as long as it lives; goes with the process.
class file_lock {
 public:
  static result<std::unique_ptr<file_lock>> take(const std::filesystem::path& file);
  ~file_lock();

 private:
  explicit file_lock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// One call that writes.
class ledger_task {
 public:
  virtual ~ledger_task() = default;
  /// On the writer's thread, within the group's transaction.
  virtual void apply(ledger_state& state) = 0;
  /// Reports the outcome: `lost` is why nothing of it became durable, or null. May come without
  /// apply().
  virtual void finish(const error* lost) = 0;
};

class ledger_core {
 public:
  static result<std::unique_ptr<ledger_core>> open(ledger_options options);
  ~ledger_core();

  /// Queues a call that writes; `tickets` is how many it brings. Finishes it with ec::busy, at
  /// once, if there is no room.
  void submit(std::unique_ptr<ledger_task> task, std::size_t tickets);

  const ledger_options& options() const { return options_; }
  const hash32& secret() const { return secret_; }
  ledger_stats stats() const;

  /// A connection of its own for questions, which sees what is durable. One at a time.
  template <class F>
  auto ask(F&& question) const {
    const std::lock_guard lock(reader_mutex_);
    reader_->clear();
    return question(*reader_);
  }

 private:
  struct entry {
    std::unique_ptr<ledger_task> task;
    std::size_t tickets = 0;
  };

  explicit ledger_core(ledger_options options) : options_(std::move(options)) {}
  result<void> prepare();
  result<void> read_secret();
  void run();
  std::optional<error> refusal(std::size_t tickets) const;
  std::deque<entry> next_group();
  void commit(std::deque<entry> group);
  bool apply(std::deque<entry>& group);
  void start_over();

  const ledger_options options_;
  hash32 secret_;
  std::unique_ptr<file_lock> lock_;
  std::unique_ptr<sqlite::database> db_;
  std::unique_ptr<ledger_store> store_;
  std::unique_ptr<ledger_state> state_;
  bool stale_ = false;  ///< memory is not what the file says
  std::unique_ptr<sqlite::database> reader_;
  mutable std::mutex reader_mutex_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<entry> queue_;
  std::size_t queued_tickets_ = 0;
  bool stopping_ = false;
  ledger_stats stats_;
  std::thread writer_;
};

}  // namespace lp::payments
