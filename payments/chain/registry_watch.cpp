// SPDX-License-Identifier: MIT
#include "payments/chain/registry_watch.hpp"

#include <vector>

#include "runtime/base/log.hpp"

namespace lp::payments {

namespace {

constexpr std::size_t longest_uri = 256;

}  // namespace

registry_watch::registry_watch(std::shared_ptr<eth_client> chain, const address& registry,
                               registry_watch_options options)
    : registry_(std::move(chain), registry), options_(options) {
  thread_ = std::thread([this] { run(); });
}

registry_watch::~registry_watch() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

std::string registry_watch::find(const address& orchestrator) {
  const std::lock_guard lock(mutex_);
  const auto found = found_.find(orchestrator);
  if (found != found_.end()) return found->second;
  if (found_.size() >= options_.most) return {};
  found_.emplace(orchestrator, std::string());
  news_ = true;
  wake_.notify_all();
  return {};
}

void registry_watch::run() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    news_ = false;
    std::vector<address> wanted;
    for (const auto& [who, uri] : found_) wanted.push_back(who);
    for (const address& who : wanted) {
      if (ending_) return;
      lock.unlock();
      auto uri = registry_.service_uri(who, clock::now() + options_.call_timeout);
      lock.lock();
      if (!uri) {
        log::debug("chain", "service of {}: {}", to_text(who), uri.error().message);
        continue;
      }
      if (uri->size() > longest_uri) uri->clear();
      if (*uri != found_[who]) log::info("chain", "{} is reached at {}", to_text(who), *uri);
      found_[who] = std::move(*uri);
    }
    wake_.wait_for(lock, options_.refresh_every, [this] { return ending_ || news_; });
  }
}

}  // namespace lp::payments
