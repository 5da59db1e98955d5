// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <memory>

namespace lp {

/// A flag that one side raises and the other polls between steps. Copies share the flag.
class cancel_token {
 public:
  void cancel() const { flag_->store(true, std::memory_order_relaxed); }
  bool cancelled() const { return flag_->load(std::memory_order_relaxed); }

 private:
  std::shared_ptr<std::atomic<bool>> flag_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace lp
