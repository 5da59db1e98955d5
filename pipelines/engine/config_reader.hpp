// SPDX-License-Identifier: MIT
// Typed access to the config.json of a network, where null means absent.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// Reads fields and remembers the first wrong one, so that a parser reads all and asks once.
class config_reader {
 public:
  /// `what` opens the messages, for example "unet/config.json".
  config_reader(const boost::json::object& object, std::string what)
      : object_(object), what_(std::move(what)) {}

  /// The value, `fallback` where it is absent or null. Integers must lie in [low, high].
  std::int64_t integer(std::string_view key, std::int64_t fallback, std::int64_t low = 0,
                       std::int64_t high = 1 << 20);
  double number(std::string_view key, double fallback);
  bool boolean(std::string_view key, bool fallback);
  std::string text(std::string_view key, std::string_view fallback);
  std::vector<std::string> texts(std::string_view key);

  /// Lists of `count` entries; a single value stands for as many equal ones. count 0: any length.
  std::vector<std::int64_t> integers(std::string_view key, std::size_t count, std::int64_t fallback,
                                     std::int64_t low = 0, std::int64_t high = 1 << 20);
  std::vector<bool> booleans(std::string_view key, std::size_t count, bool fallback);

  /// Absent, null, false or an empty string.
  bool is_unset(std::string_view key) const;
  /// Present with the value null: some fields mean something by it.
  bool is_null(std::string_view key) const;
  bool is_list(std::string_view key) const;
  /// Notes an error unless the field is unset: for features that are not supported.
  void must_be_unset(std::string_view key);
  void reject(std::string_view key, std::string_view expected);

  /// The first error, ec::bad_file.
  result<void> check() const;

 private:
  const boost::json::value* find(std::string_view key) const;

  const boost::json::object& object_;
  std::string what_;
  std::string error_;
};

}  // namespace lp::engine
