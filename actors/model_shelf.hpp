// SPDX-License-Identifier: MIT
// Which models are kept: never dropped while in use, least recently used out first, within a byte
// budget. No CAF and no clock: order of calls is order of use.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/base/error.hpp"

namespace lp::pipelines {
class model;
}

namespace lp::actors {

/// A model is in use while somebody besides the shelf holds a pointer to it.
class model_shelf {
 public:
  using model_ptr = std::shared_ptr<pipelines::model>;

  explicit model_shelf(std::uint64_t budget) : budget_(budget) {}

  /// What acquire() asks of its caller.
  struct decision {
    enum class next { use, wait, load };
    next what = next::wait;
    model_ptr model;                   ///< with use
    std::vector<std::string> evicted;  ///< dropped now to make room
    bool again = false;                ///< with load: it was there, and is not usable() any more
  };

  /// Somebody needs the model. `expected_bytes` is what loading it is thought to take. With `load`
  /// the caller starts the one load; with `wait` one is under way. out_of_memory if the model
  /// exceeds the budget by itself, busy if models in use leave no room for it now.
  result<decision> acquire(const std::string& id, std::uint64_t expected_bytes);

  /// The load ended. Drops others if its true size asks for it; their ids.
  std::vector<std::string> loaded(const std::string& id, model_ptr model, std::uint64_t bytes);
  void load_failed(const std::string& id);

  /// A loaded model is not given out any more; who uses it keeps it.
  void forget(const std::string& id);

  /// Drops models that nobody uses, the least recently used first, down to so many bytes if that
  /// can be; their ids.
  std::vector<std::string> shrink(std::uint64_t bytes) { return make_room(bytes, {}); }

  /// The model was used without asking here.
  void used(const std::string& id);

  std::map<std::string, model_ptr> warm() const;
  std::uint64_t bytes() const;

 private:
  struct slot {
    model_ptr model;  ///< null while loading
    std::uint64_t bytes = 0;
    std::uint64_t used = 0;
  };

  std::vector<std::string> make_room(std::uint64_t budget, const std::string& keep);

  std::uint64_t budget_;
  std::uint64_t uses_ = 0;
  std::map<std::string, slot> slots_;
};

}  // namespace lp::actors
