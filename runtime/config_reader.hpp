// SPDX-License-Identifier: MIT
// Reading one TOML table with errors that name file, line and key.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <toml++/toml.h>

#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::runtime {

/// Where a table and its keys stand, to begin messages about what is found out later.
struct key_places {
  std::string line;                         ///< the table's: "FILE:LINE"
  std::string table;                        ///< "FILE:LINE: [[worker]]"
  std::map<std::string, std::string> keys;  ///< "FILE:LINE: [[worker]] device"

  /// The key's place, or the table's and the key's name where it is absent.
  std::string of(const std::string& key) const;
};

/// Takes keys out of a table. The first mistake is kept and ends the reading; finish() also reports
/// keys that nobody asked for.
class table_reader {
 public:
  /// `path` is the table's name for messages: "[[worker]]".
  table_reader(const toml::table& table, std::string path, std::string file)
      : table_(table), path_(std::move(path)), file_(std::move(file)) {}

  std::string text(const std::string& key, std::string fallback);
  std::string required_text(const std::string& key);
  /// A text that must not be empty where it is given.
  std::string filled_text(const std::string& key, std::string fallback);
  std::vector<std::string> texts(const std::string& key);
  std::uint64_t whole(const std::string& key, std::uint64_t fallback, std::uint64_t least,
                      std::uint64_t most);
  bool flag(const std::string& key, bool fallback);
  /// "90s", "5m", "1h", "250ms"
  milliseconds time(const std::string& key, milliseconds fallback);
  /// A whole number of bytes or "512 MiB", "8 GiB", "64 KiB".
  std::uint64_t bytes(const std::string& key, std::uint64_t fallback);
  /// A number, whole or not, or a text: as text. Never rounded: 0.1 is "0.1".
  std::string number_text(const std::string& key, std::string fallback);
  const toml::table* table(const std::string& key);
  std::vector<const toml::table*> tables(const std::string& key);

  /// Reports `what` at the key's line, or at the table's if the key is absent.
  void mistake(const std::string& key, const std::string& what);

  key_places places() const;

  const toml::table& raw() const { return table_; }
  result<void> finish();

 private:
  const toml::node* take(const std::string& key);

  const toml::table& table_;
  std::string path_;
  std::string file_;
  std::set<std::string> known_;
  std::optional<error> error_;
};

}  // namespace lp::runtime
