// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "payments/address.hpp"

namespace lp::actors {

/// Who has to sign as which node, where a gateway knows its orchestrators by their addresses: the
/// chain only tells where to connect, and whoever answers there has to prove itself. Safe from any
/// thread.
class signer_book {
 public:
  /// A node of that name answered where `who` is to be reached. False if the name is another's. An
  /// address has one name at a time.
  bool claim(const std::string& node, const payments::address& who) {
    const std::lock_guard lock(mutex_);
    if (signers_.try_emplace(node, who).first->second != who) return false;
    std::erase_if(signers_,
                  [&](const auto& entry) { return entry.second == who && entry.first != node; });
    return true;
  }

  /// Nothing for a node that was found by other means.
  std::optional<payments::address> find(const std::string& node) const {
    const std::lock_guard lock(mutex_);
    const auto found = signers_.find(node);
    if (found == signers_.end()) return std::nullopt;
    return found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, payments::address> signers_;
};

}  // namespace lp::actors
