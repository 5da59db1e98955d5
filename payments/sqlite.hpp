// SPDX-License-Identifier: MIT
// SQLite with prepared statements. The first failure is kept and everything after it does nothing,
// until clear(): a transaction is written as if nothing could go wrong, and asked once at its end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace lp::payments::sqlite {

/// How a parameter is bound: bytes, UTF-8 text, or nothing.
struct blob {
  std::string_view bytes;
};
struct text {
  std::string_view characters;
};
struct null {};

class database {
 public:
  /// Creates the file (0600) unless `read_only`. ec::bad_file, naming it, if that fails.
  static result<std::unique_ptr<database>> open(const std::filesystem::path& file, bool read_only);
  ~database();
  database(const database&) = delete;
  database& operator=(const database&) = delete;

  /// One or several statements without parameters.
  void exec(const char* sql);
  /// From now on a statement that still runs at `deadline` fails with ec::deadline_exceeded.
  void stop_at(time_point deadline);
  /// Rows that the last statement changed.
  int changes() const;
  /// The first value of the first row; 0 if there is none.
  std::int64_t scalar(const char* sql);

  bool ok() const { return failure_.code == ec::none; }
  /// ec::bad_file, naming the file and SQLite's reason, since the last clear().
  const error& failure() const { return failure_; }
  result<void> status() const;
  void clear() { failure_ = {}; }

 private:
  friend class statement;
  database(sqlite3* handle, std::string name) : handle_(handle), name_(std::move(name)) {}
  void fail_with(int code);

  sqlite3* handle_;
  std::string name_;
  time_point deadline_ = time_point::max();
  error failure_;
};

/// A prepared statement; belongs to its database's thread and must not outlive it.
class statement {
 public:
  statement(database& db, const char* sql);
  ~statement();
  statement(const statement&) = delete;
  statement& operator=(const statement&) = delete;

  /// Binds from the first parameter on; values must stay valid until the last next().
  template <class... Ts>
  statement& start(const Ts&... values) {
    reset();
    int at = 0;
    (bind(++at, values), ...);
    return *this;
  }
  /// start() and one next(), for statements without rows.
  template <class... Ts>
  void run(const Ts&... values) {
    start(values...);
    next();
    reset();
  }
  /// True while there is another row; false also after a failure.
  bool next();

  std::int64_t integer(int column) const;
  /// Text or bytes, valid until the next call.
  std::string_view bytes(int column) const;
  bool is_null(int column) const;

 private:
  void reset();
  void bind(int at, std::int64_t value);
  void bind(int at, std::uint64_t value) { bind(at, static_cast<std::int64_t>(value)); }
  void bind(int at, int value) { bind(at, std::int64_t{value}); }
  void bind(int at, unsigned value) { bind(at, std::int64_t{value}); }
  void bind(int at, blob value);
  void bind(int at, text value);
  void bind(int at, null);

  database& db_;
  sqlite3_stmt* handle_ = nullptr;
};

}  // namespace lp::payments::sqlite
