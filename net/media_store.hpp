// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "net/http_message.hpp"
#include "runtime/base/bytes.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::net {

/// Finished media in memory, under names that cannot be guessed. Bounded by bytes and count: the
/// oldest go first. Safe from any thread.
class media_store {
 public:
  struct limits {
    std::uint64_t bytes = 512ULL << 20;  ///< of all items together
    std::size_t count = 4096;
    duration keep = std::chrono::hours(1);  ///< lifetime unless put() says otherwise
  };

  struct item {
    std::string mime;
    shared_bytes data;
    time_point expires;
  };

  media_store() : media_store(limits()) {}
  explicit media_store(limits bounds) : limits_(bounds) {}

  /// The new item's id, 32 hexadecimal digits. ec::too_large if it alone exceeds the bound.
  result<std::string> put(shared_bytes data, std::string mime, time_point now,
                          std::optional<duration> keep = std::nullopt);

  /// None if unknown, evicted or expired.
  std::optional<item> get(std::string_view id, time_point now) const;

  /// Forgets what has expired. put() does so too.
  void expire(time_point now);

  std::uint64_t bytes() const;
  std::size_t count() const;

 private:
  struct entry {
    std::string id;
    item what;
  };
  using entries = std::list<entry>;  // oldest first

  void erase(entries::iterator which);
  void expire_locked(time_point now);

  const limits limits_;
  mutable std::mutex mutex_;
  entries entries_;
  std::unordered_map<std::string_view, entries::iterator> by_id_;  // keys live in entries_
  std::uint64_t bytes_ = 0;
};

/// "/media/ID.png": where media_response() finds the item.
std::string media_path(std::string_view id, std::string_view mime);

/// Answers GET and HEAD below "/media/": the item with ETag and Cache-Control, 304 for
/// If-None-Match, 206 or 416 for a single byte range, 404 for what is not there.
response media_response(const media_store& store, const request& r, time_point now);

}  // namespace lp::net
