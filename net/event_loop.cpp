// SPDX-License-Identifier: MIT
#include "net/event_loop.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "runtime/base/log.hpp"

namespace lp::net {

namespace asio = boost::asio;

namespace {

// Events handled before a turn; more would let the answers to the first of them wait.
constexpr int batch = 64;
// After so many events that came alone, one in so many is followed by a look for another.
constexpr int lonely = 8;
// What is still under way that long after release() is left behind.
constexpr seconds last_words{5};
// Work that lasts longer than one to two of these is long.
constexpr milliseconds patience{5};
// The deputy goes to sleep after that many of them without any work.
constexpr int idle_ticks = 2;

}  // namespace

struct event_loop::guard {
  explicit guard(asio::io_context& c) : work(c.get_executor()) {}
  asio::executor_work_guard<asio::io_context::executor_type> work;
};

event_loop::event_loop()
    : context_(std::make_unique<asio::io_context>(1)), guard_(std::make_unique<guard>(*context_)) {}

event_loop::~event_loop() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    changed_.notify_all();
  }
  if (deputy_.joinable()) deputy_.join();
  guard_.reset();
}

void event_loop::own() {
  owner_ = std::this_thread::get_id();
  if (hooks_.moved) hooks_.moved();
}

void event_loop::run(hooks h) {
  hooks_ = std::move(h);
  own();
  bool more = false;
  while (step(more)) {
  }
}

// One batch of events and one turn; false when run() is to end. Want of memory, or a throwing
// callback, costs the connection it came up on and no other.
bool event_loop::step(bool& more) {
  try {
    const bool any = run_once(!more);
    if (end_ && !any && !more) return false;
    more = hooks_.turn();
  } catch (const std::exception& e) {
    log::error("network", "an event was dropped: {}", e.what());
  }
  return true;
}

bool event_loop::run_once(bool wait) {
  std::size_t count = 0;
  if (end_) {
    context_->restart();
    count = wait ? context_->run_one_until(*end_) : context_->poll_one();
  } else {
    count = wait ? context_->run_one() : context_->poll_one();
  }
  // Under load many events are ready together and one turn serves them all. To look for a second
  // one is a system call, which at low load nearly always says no.
  if (count == 0 || (quiet_ >= lonely && ++quiet_ % lonely != 0)) return count > 0;
  int more = 0;
  while (more < batch && context_->poll_one() > 0) ++more;
  quiet_ = more > 0 ? 0 : std::min(quiet_ + 1, lonely);
  return true;
}

void event_loop::post(std::function<void()> f) {
  asio::post(*context_, std::move(f));
}

void event_loop::release() {
  post([this] {
    guard_.reset();
    end_ = clock::now() + last_words;
  });
}

void event_loop::long_work(const std::function<void()>& work) {
  if (std::this_thread::get_id() == deputy_.get_id()) return work();  // there is no other deputy
  if (!deputy_.joinable()) deputy_ = std::thread([this] { watch(); });
  const std::uint64_t mine = last_section_ += 2;
  section_ = mine - 1;
  if (deputy_idle_) {
    const std::lock_guard lock(mutex_);
    deputy_idle_ = false;
    changed_.notify_all();
  }
  const auto end = [&] {
    std::uint64_t expected = mine - 1;
    if (!section_.compare_exchange_strong(expected, mine)) take_back();
  };
  try {
    work();
  } catch (...) {
    end();
    throw;
  }
  end();
}

void event_loop::take_back() {
  back_wanted_ = true;
  post([] {});  // ends its wait for events
  std::unique_lock lock(mutex_);
  changed_.notify_all();
  changed_.wait(lock, [&] { return given_back_; });
  given_back_ = false;
  back_wanted_ = false;
  section_ = last_section_;
  changed_.notify_all();
  own();
}

// The deputy's thread: looks now and then whether the same work is still under way.
void event_loop::watch() {
  std::uint64_t seen = 0;
  int unchanged = 0;
  std::unique_lock lock(mutex_);
  while (!over_) {
    changed_.wait_for(lock, patience);
    std::uint64_t now = section_;
    if (now % 2 == 1 && now == seen && section_.compare_exchange_strong(now, taken)) {
      lock.unlock();
      stand_in();
      lock.lock();
      given_back_ = true;
      changed_.notify_all();
      // The section is closed by its owner before it goes on.
      changed_.wait(lock, [&] { return over_ || !given_back_; });
      now = seen = 0;
    }
    unchanged = now == seen ? unchanged + 1 : 0;
    seen = now;
    if (unchanged < idle_ticks) continue;
    unchanged = 0;
    deputy_idle_ = true;
    if (section_ % 2 == 1) deputy_idle_ = false;  // begun before it could see that
    changed_.wait(lock, [&] { return over_ || !deputy_idle_; });
  }
}

void event_loop::stand_in() {
  own();
  bool more = false;
  while (!back_wanted_) {
    if (step(more)) continue;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return over_ || back_wanted_.load(); });
    return;
  }
}

}  // namespace lp::net
