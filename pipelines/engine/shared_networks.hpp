// SPDX-License-Identifier: MIT
// Models often have parts in common: the same text encoder beside another UNet. Parts whose weights
// are equal, wherever they lie, share one network in memory.
//
// A model that has nothing of its kind beside it pays nothing for that. Where there is one of the
// same configuration the files' places on disk are compared, then their headers, then their bytes
// up to the first that differs.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "pipelines/engine/component.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

/// The networks of one kind that are in use. Safe from any thread; who asks for one that another
/// thread is loading waits for it.
template <class Network, class Config>
class shared_networks {
 public:
  struct wanted {
    std::string setting;  ///< how the weights are held: dtype and device
    Config config;
    component from;
  };

  static shared_networks& instance() {
    static shared_networks all;
    return all;
  }

  /// A network in use that is equal, or what `make` makes of the component's tensors: a
  /// result<std::shared_ptr<Network>>.
  template <class Make>
  result<std::shared_ptr<Network>> get(wanted w, Make make) {
    const auto mine = std::make_shared<entry>(std::move(w));
    // Whoever finds this entry waits here for its network. They look only at entries from before
    // their own, so that no two wait for each other.
    const std::lock_guard building(mine->mutex);
    const auto place = mine->place;
    const auto others = announce(mine);
    for (const auto& other : others) {
      if (!knows(*other, place)) continue;
      if (auto there = other->wait()) return there;
    }
    auto tensors = mine->asked.from.open(true);
    if (!tensors) return fail(tensors.error());
    for (const auto& other : others) {
      if (!other->holds(*tensors)) continue;
      if (auto there = other->wait()) {
        learn(*other, place);
        return there;
      }
    }
    auto made = make(std::move(*tensors));
    if (made) mine->network = *made;
    return made;
  }

 private:
  struct entry {
    explicit entry(wanted w) : asked(std::move(w)), place(asked.from.where()), places{place} {}

    /// The network, once it is loaded; null if that failed or nobody uses it any more.
    std::shared_ptr<Network> wait() {
      const std::lock_guard lock(mutex);
      return network.lock();
    }

    /// Whether the network was made of such tensors, as far as its files can still tell.
    bool holds(const stored_tensors& tensors) const {
      if (asked.from.where() != place) return false;
      const auto own = asked.from.open(false);
      return own && same_tensors(*own, tensors) && asked.from.where() == place;
    }

    const wanted asked;
    const std::string place;
    std::set<std::string> places;  ///< of equal content; the registry's lock guards it
    std::mutex mutex;
    std::weak_ptr<Network> network;
  };
  using entries = std::vector<std::shared_ptr<entry>>;

  /// Adds `mine`; the ones from before it that may be equal.
  entries announce(const std::shared_ptr<entry>& mine) {
    if (mine->place.empty()) return {};
    const std::lock_guard lock(mutex_);
    std::erase_if(all_, [](const auto& e) {
      if (e.use_count() > 1) return false;
      const std::unique_lock idle(e->mutex, std::try_to_lock);
      return idle && e->network.expired();
    });
    entries out;
    std::copy_if(all_.begin(), all_.end(), std::back_inserter(out), [&](const auto& e) {
      return e->asked.setting == mine->asked.setting && e->asked.config == mine->asked.config;
    });
    all_.push_back(mine);
    return out;
  }

  bool knows(const entry& e, const std::string& place) {
    const std::lock_guard lock(mutex_);
    return e.places.contains(place);
  }
  void learn(entry& e, const std::string& place) {
    const std::lock_guard lock(mutex_);
    e.places.insert(place);
  }

  std::mutex mutex_;
  entries all_;
};

}  // namespace lp::engine
