// SPDX-License-Identifier: MIT
// Models often have parts in common: the same text encoder beside another UNet. Folders whose files
// are the same ones on disk (links, or the folder itself) share one network in memory.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// What a component's folder holds, by its files' places on disk, sizes and times of change, and
/// the text of its config.json. Equal only for what loads into equal networks; empty, which equals
/// nothing, where a file cannot be looked at.
std::string identity_of(const std::filesystem::path& folder);

/// The networks of one kind that are in use. Safe from any thread; who asks for one that another
/// thread is loading waits for it.
template <class Network>
class shared_networks {
 public:
  static shared_networks& instance() {
    static shared_networks all;
    return all;
  }

  /// The network of that key, or what `make` makes: a result<std::shared_ptr<Network>>.
  template <class Make>
  result<std::shared_ptr<Network>> get(const std::string& key, Make make) {
    if (key.empty()) return make();
    const auto here = slot_of(key);
    const std::lock_guard lock(here->mutex);
    if (auto there = here->network.lock()) return there;
    auto made = make();
    if (made) here->network = *made;
    return made;
  }

 private:
  struct slot {
    std::mutex mutex;
    std::weak_ptr<Network> network;
  };

  std::shared_ptr<slot> slot_of(const std::string& key) {
    const std::lock_guard lock(mutex_);
    std::erase_if(slots_, [](const auto& entry) {
      return entry.second.use_count() == 1 && entry.second->network.expired();
    });
    auto& here = slots_[key];
    if (!here) here = std::make_shared<slot>();
    return here;
  }

  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<slot>> slots_;
};

}  // namespace lp::engine
