// SPDX-License-Identifier: MIT
// One thread's loop over sockets, timers and posted work.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "runtime/base/clock.hpp"

namespace boost::asio {
class io_context;
}

namespace lp::net {

/// Whoever runs it owns the thread. HTTP servers, byte streams and the actors of one node share it,
/// so that a request goes from one to the other without a change of thread.
///
/// Work that may take long is done on the same thread, too, by long_work(): a thread of its own
/// would cost each job two wake-ups, which are dearer than all the rest of a short job. Only where
/// the work does last, a second thread, the deputy, takes the loop over until it is done. There is
/// one owner of the loop at any time, so that nothing on it needs a lock.
class event_loop {
 public:
  event_loop();
  event_loop(const event_loop&) = delete;
  event_loop& operator=(const event_loop&) = delete;
  ~event_loop();

  struct hooks {
    /// Called after each batch of events, before the loop waits for more; says whether it wants
    /// another turn without waiting.
    std::function<bool()> turn;
    /// Called on a thread that has just become the owner.
    std::function<void()> moved;
  };

  /// Runs on the calling thread until release() was called and nothing is under way, or a few
  /// seconds after release() in any case.
  void run(hooks h);

  /// Handles what is ready, or with `wait` at least one event; false if there was none.
  bool run_once(bool wait);

  /// Runs `f` on the loop's thread; from any thread.
  void post(std::function<void()> f);

  /// Lets run() end; from any thread.
  void release();

  /// Does `work` now. From within hooks::turn alone, and not from within `work`. What belongs to
  /// the loop must not be touched by it.
  void long_work(const std::function<void()>& work);

  /// Whether the calling thread owns the loop.
  bool owned_here() const {
    return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

  boost::asio::io_context& context() { return *context_; }

 private:
  struct guard;

  bool step(bool& more);
  void own();
  void watch();
  bool idle_until_watched(std::unique_lock<std::mutex>& lock);
  void stand_in();
  void take_back();

  std::unique_ptr<boost::asio::io_context> context_;
  std::unique_ptr<guard> guard_;
  std::optional<time_point> end_;  ///< of run(), once released
  hooks hooks_;
  int quiet_ = 0;  ///< events in a row that came alone
  std::atomic<std::thread::id> owner_;

  // Between the owner and its deputy. `section_` counts long works: odd while one is under way; the
  // deputy takes the loop over by setting it to taken.
  static constexpr std::uint64_t taken = ~std::uint64_t{0};
  std::atomic<std::uint64_t> section_{0};
  std::uint64_t last_section_ = 0;  ///< of the first thread
  std::atomic<bool> deputy_idle_{false};
  std::atomic<bool> back_wanted_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool given_back_ = false;
  bool over_ = false;
  std::thread deputy_;  ///< begun with the first long work
};

}  // namespace lp::net
