// SPDX-License-Identifier: MIT
#include "payments/chain/chain_watch.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "runtime/base/log.hpp"

namespace lp::payments {

namespace {

constexpr milliseconds shortest_pause{50};

}  // namespace

chain_watch::chain_watch(std::shared_ptr<eth_client> chain, const protocol_addresses& where,
                         chain_watch_options options)
    : reader_(std::move(chain), where, options.max_tip), options_(options) {
  thread_ = std::thread([this] { run(); });
}

chain_watch::~chain_watch() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  work_.notify_all();
  news_.notify_all();
  thread_.join();
}

result<chain_view> chain_watch::view() {
  std::unique_lock lock(mutex_);
  news_.wait_for(lock, options_.patience,
                 [this] { return ending_ || view_.has_value() || view_trouble_.has_value(); });
  if (view_ && clock::now() - view_read_ <= options_.too_old) return *view_;
  return fail(ec::unavailable,
              fmt::format("the chain is not known now: {}",
                          view_trouble_ ? view_trouble_->message : "no answer yet"));
}

result<sender_funds> chain_watch::funds(const address& sender) {
  std::unique_lock lock(mutex_);
  if (senders_.find(sender) == senders_.end()) {
    if (senders_.size() >= options_.max_senders) {
      return fail(ec::busy, "the funds of too many senders are followed already");
    }
    senders_.emplace(sender, entry{});
    work_.notify_all();
  }
  senders_[sender].asked = clock::now();
  const auto known = [&] {
    const auto found = senders_.find(sender);
    return ending_ || found == senders_.end() || found->second.funds || found->second.trouble;
  };
  news_.wait_for(lock, options_.patience, known);
  const auto found = senders_.find(sender);
  if (found != senders_.end() && found->second.funds) return *found->second.funds;
  return fail(ec::unavailable, fmt::format("the funds of {} are not known now: {}", to_text(sender),
                                           found != senders_.end() && found->second.trouble
                                               ? found->second.trouble->message
                                               : "no answer yet"));
}

void chain_watch::refresh(const address& sender) {
  const std::lock_guard lock(mutex_);
  const auto found = senders_.find(sender);
  if (found == senders_.end()) return;
  found->second.wanted = true;
  work_.notify_all();
}

// A sender whose funds are to be read; takes off those that nobody asked for in a long time.
std::optional<address> chain_watch::next_sender(time_point now) {
  for (auto it = senders_.begin(); it != senders_.end();) {
    if (!it->second.wanted && now - it->second.asked > options_.forget_after) {
      it = senders_.erase(it);
      continue;
    }
    if (it->second.wanted || now - it->second.read >= options_.funds_every) return it->first;
    ++it;
  }
  return std::nullopt;
}

void chain_watch::read_view(std::unique_lock<std::mutex>& lock) {
  view_tried_ = clock::now();
  lock.unlock();
  auto read = reader_.view(clock::now() + options_.call_timeout);
  lock.lock();
  if (read) {
    view_ = std::move(*read);
    view_read_ = clock::now();
    view_trouble_.reset();
  } else {
    if (!view_trouble_) log::warn("chain", "{}", read.error().message);
    view_trouble_ = std::move(read.error());
  }
  news_.notify_all();
}

void chain_watch::read_funds(std::unique_lock<std::mutex>& lock) {
  while (!ending_) {
    const auto who = next_sender(clock::now());
    if (!who) return;
    senders_[*who].wanted = false;
    lock.unlock();
    auto read = reader_.funds(*who, options_.recipient, clock::now() + options_.call_timeout);
    lock.lock();
    entry& e = senders_[*who];
    e.read = clock::now();
    if (read) {
      e.funds = std::move(*read);
      e.good = e.read;
      e.trouble.reset();
    } else {
      e.trouble = std::move(read.error());
      if (e.read - e.good > options_.too_old) e.funds.reset();
    }
    news_.notify_all();
  }
}

void chain_watch::run() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    if (clock::now() - view_tried_ >= options_.view_every ||
        !view_tried_.time_since_epoch().count()) {
      read_view(lock);
    }
    read_funds(lock);
    if (ending_) return;
    const auto wanted = [this] {
      return ending_ || std::any_of(senders_.begin(), senders_.end(),
                                    [](const auto& s) { return s.second.wanted; });
    };
    const auto pause = std::min(options_.view_every, options_.funds_every);
    work_.wait_for(lock, std::max(pause, shortest_pause), wanted);
  }
}

}  // namespace lp::payments
