// SPDX-License-Identifier: MIT
// Which ranges of a download have arrived, kept beside it so that it can go on after any break.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lp::net {

/// Safe from any thread.
class hub_parts {
 public:
  struct range {
    std::size_t index = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };

  /// Goes on from "target.part" and "target.ranges" if they are of the same `identity` (the file's
  /// digest), size and range length; begins anew otherwise.
  static result<std::unique_ptr<hub_parts>> open(const std::filesystem::path& target,
                                                 const std::string& identity, std::uint64_t size,
                                                 std::uint64_t part_bytes);
  ~hub_parts();
  hub_parts(const hub_parts&) = delete;
  hub_parts& operator=(const hub_parts&) = delete;

  /// A range that is missing and that nobody fetches now; none if there is none.
  std::optional<range> take();
  /// It could not be fetched; another may take it.
  void give_back(const range& r);
  /// Writes it and notes that it is there.
  result<void> store(const range& r, std::string_view bytes);

  std::uint64_t done() const;
  bool complete() const { return done() == size_; }
  const std::filesystem::path& file() const { return file_; }

  /// Removes what has arrived.
  void discard();
  /// Gives the file its name.
  result<void> finish(const std::filesystem::path& target);

 private:
  hub_parts() = default;
  result<void> note();

  std::filesystem::path file_;
  std::filesystem::path ranges_;
  std::string head_;
  std::uint64_t size_ = 0;
  std::uint64_t part_bytes_ = 0;
  int fd_ = -1;
  mutable std::mutex mutex_;
  std::string state_;  ///< a letter a range: '.' missing, '~' being fetched, '#' there
  std::uint64_t done_ = 0;
};

}  // namespace lp::net
