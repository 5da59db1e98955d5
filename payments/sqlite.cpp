// SPDX-License-Identifier: MIT
#include "payments/sqlite.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <fmt/core.h>

namespace lp::payments::sqlite {

namespace {

constexpr int busy_milliseconds = 5000;
// Instructions of SQLite's machine between two looks at the clock: some tens of microseconds.
constexpr int steps_between_looks = 1000;

}  // namespace

result<std::unique_ptr<database>> database::open(const std::filesystem::path& file,
                                                 bool read_only) {
  if (!read_only) {
    // SQLite gives its other files (-wal, -shm) the mode of this one.
    const int made = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (made < 0) {
      return fail(ec::bad_file, fmt::format("{}: {}", file.string(), std::strerror(errno)));
    }
    ::close(made);
  }
  sqlite3* handle = nullptr;
  // A reader of a file with a write-ahead log needs to write to the shared index beside it.
  const int code =
      sqlite3_open_v2(file.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<database> out(new database(handle, file.string()));
  if (code != SQLITE_OK) {
    const int system = handle == nullptr ? 0 : sqlite3_system_errno(handle);
    return fail(ec::bad_file,
                fmt::format("{}: {}", file.string(),
                            system != 0 ? std::strerror(system) : sqlite3_errstr(code)));
  }
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, busy_milliseconds);
  if (read_only) out->exec("PRAGMA query_only = 1");
  if (!out->ok()) return fail(out->failure());
  return out;
}

database::~database() {
  sqlite3_close_v2(handle_);
}

void database::fail_with(int code) {
  if (!ok()) return;
  failure_ = {code == SQLITE_INTERRUPT ? ec::deadline_exceeded : ec::bad_file,
              fmt::format("{}: {} ({})", name_, sqlite3_errmsg(handle_), sqlite3_errstr(code)),
              {}};
}

void database::exec(const char* sql) {
  if (!ok()) return;
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail_with(code);
}

void database::stop_at(time_point deadline) {
  deadline_ = deadline;
  const auto late = [](void* self) {
    return clock::now() >= static_cast<database*>(self)->deadline_ ? 1 : 0;
  };
  sqlite3_progress_handler(handle_, steps_between_looks, late, this);
}

int database::changes() const {
  return sqlite3_changes(handle_);
}

std::int64_t database::scalar(const char* sql) {
  statement query(*this, sql);
  return query.start().next() ? query.integer(0) : 0;
}

result<void> database::status() const {
  if (ok()) return {};
  return fail(failure_);
}

statement::statement(database& db, const char* sql) : db_(db) {
  if (!db_.ok()) return;
  const int code =
      sqlite3_prepare_v3(db_.handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr);
  if (code != SQLITE_OK) db_.fail_with(code);
}

statement::~statement() {
  sqlite3_finalize(handle_);
}

void statement::reset() {
  if (handle_ != nullptr) sqlite3_reset(handle_);
}

bool statement::next() {
  if (handle_ == nullptr || !db_.ok()) return false;
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) db_.fail_with(code);
  return false;
}

void statement::bind(int at, std::int64_t value) {
  if (handle_ != nullptr) sqlite3_bind_int64(handle_, at, value);
}

void statement::bind(int at, blob value) {
  if (handle_ == nullptr) return;
  // A null pointer would bind NULL.
  const char* data = value.bytes.empty() ? "" : value.bytes.data();
  sqlite3_bind_blob64(handle_, at, data, value.bytes.size(), SQLITE_STATIC);
}

void statement::bind(int at, text value) {
  if (handle_ == nullptr) return;
  const char* data = value.characters.empty() ? "" : value.characters.data();
  sqlite3_bind_text64(handle_, at, data, value.characters.size(), SQLITE_STATIC, SQLITE_UTF8);
}

void statement::bind(int at, null) {
  if (handle_ != nullptr) sqlite3_bind_null(handle_, at);
}

std::int64_t statement::integer(int column) const {
  return sqlite3_column_int64(handle_, column);
}

std::string_view statement::bytes(int column) const {
  const void* data = sqlite3_column_blob(handle_, column);
  const int length = sqlite3_column_bytes(handle_, column);
  return data == nullptr
             ? std::string_view()
             : std::string_view(static_cast<const char*>(data), static_cast<std::size_t>(length));
}

bool statement::is_null(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

}  // namespace lp::payments::sqlite
