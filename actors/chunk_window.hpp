// SPDX-License-Identifier: MIT
// The order of pulling a large result: which part to ask for next, and the whole put together.
// No CAF.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/base/error.hpp"

namespace lp::actors {

class chunk_window {
 public:
  /// `total` bytes in parts of `part`; at most `window` parts are asked for at a time, which is the
  /// back-pressure of the transfer.
  chunk_window(std::uint64_t total, std::uint32_t part, unsigned window)
      : total_(total), part_(part), window_(window) {
    bytes_.resize(total);
  }

  struct ask {
    std::uint64_t offset;
    std::uint32_t length;
  };

  /// The part to ask for now; none while the window is full or all has been asked for.
  std::optional<ask> next() {
    if (asked_ == total_ || open_ == window_) return std::nullopt;
    const auto length = static_cast<std::uint32_t>(std::min<std::uint64_t>(part_, total_ - asked_));
    const ask a{asked_, length};
    asked_ += length;
    ++open_;
    return a;
  }

  /// A part arrived. pipeline_failed unless it is exactly what was asked for.
  result<void> arrived(const ask& a, std::string_view data, std::uint64_t total) {
    --open_;
    if (total != total_ || data.size() != a.length) {
      return fail(ec::pipeline_failed, "the result changed while it was being read");
    }
    bytes_.replace(a.offset, a.length, data);
    have_ += data.size();
    return {};
  }

  bool complete() const { return have_ == total_; }
  std::string take() { return std::move(bytes_); }

 private:
  std::uint64_t total_;
  std::uint32_t part_;
  unsigned window_;
  unsigned open_ = 0;
  std::uint64_t asked_ = 0;
  std::uint64_t have_ = 0;
  std::string bytes_;
};

}  // namespace lp::actors
