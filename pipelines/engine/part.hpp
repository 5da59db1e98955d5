// SPDX-License-Identifier: MIT
// A network of a model that is in memory always, or only while it is used.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// A network that was loaded before cannot be any more.
struct part_is_gone : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Copies share the network. Safe from any thread.
template <class Network>
class part {
 public:
  using config_type = std::remove_cvref_t<decltype(std::declval<const Network&>().config())>;
  using pointer = std::shared_ptr<const Network>;
  using loader = std::function<result<pointer>()>;

  part() = default;

  /// Always there.
  explicit part(pointer network)
      : config_(std::make_shared<const config_type>(network->config())),
        kept_(std::move(network)) {}

  /// A network of that configuration, loaded for each use.
  part(config_type config, loader load)
      : config_(std::make_shared<const config_type>(std::move(config))),
        absent_(std::make_shared<absent>()) {
    absent_->load = std::move(load);
  }

  /// Loads the network, to know that it can be and what it is, and drops it; from then on it is
  /// loaded for each use.
  static result<part> on_demand(loader load) {
    const auto first = load();
    if (!first) return fail(first.error());
    return part((*first)->config(), std::move(load));
  }

  bool always_there() const { return kept_ != nullptr; }
  explicit operator bool() const { return config_ != nullptr; }
  const config_type& config() const { return *config_; }

  /// The network, which stays as long as somebody holds the pointer. Throws part_is_gone
  /// where it cannot be loaded any more.
  pointer get() const {
    if (kept_) return kept_;
    const std::lock_guard lock(absent_->mutex);
    if (auto used = absent_->used.lock()) return used;
    auto loaded = absent_->load();
    if (!loaded) throw part_is_gone(loaded.error().message);
    absent_->used = *loaded;
    return *loaded;
  }
  pointer operator->() const { return get(); }

 private:
  struct absent {
    std::mutex mutex;
    loader load;
    std::weak_ptr<const Network> used;
  };

  std::shared_ptr<const config_type> config_;
  pointer kept_;
  std::shared_ptr<absent> absent_;
};

}  // namespace lp::engine
