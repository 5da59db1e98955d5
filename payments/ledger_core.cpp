// SPDX-License-Identifier: MIT
#include "payments/ledger_core.hpp"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "payments/keccak.hpp"
#include "payments/ledger_schema.hpp"
#include "runtime/base/log.hpp"

namespace lp::payments {

namespace {

// A group is committed together: large enough that a sync costs a ticket next to nothing, small
// enough that nobody waits long for the end of it.
constexpr std::size_t most_tickets_in_group = 16'384;

std::int64_t unix_milliseconds() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

// "process 1234 (lp-runtime)", by the number in the lock's file.
std::string holder_of(int lock) {
  char digits[24] = {};
  const ssize_t n = ::pread(lock, digits, sizeof digits - 1, 0);
  const long process = n > 0 ? std::strtol(digits, nullptr, 10) : 0;
  if (process <= 0) return "another process";
  std::string name;
  std::ifstream comm(fmt::format("/proc/{}/comm", process));
  std::getline(comm, name);
  return fmt::format("process {} ({})", process, name.empty() ? "?" : name);
}

error named(const std::filesystem::path& file, error e) {
  if (e.message.find(file.string()) == std::string::npos)
    e.message = file.string() + ": " + e.message;
  return e;
}

}  // namespace

result<std::unique_ptr<file_lock>> file_lock::take(const std::filesystem::path& file) {
  // One lock a file, by whatever link it is reached.
  std::error_code bad;
  const auto real = std::filesystem::weakly_canonical(file, bad);
  const std::string name = (bad ? file : real).string() + ".lock";
  const int descriptor = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return fail(ec::bad_file, fmt::format("{}: {}", name, std::strerror(errno)));
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const std::string holder = holder_of(descriptor);
    ::close(descriptor);
    return fail(ec::bad_file, fmt::format("{}: {} uses this ledger", file.string(), holder));
  }
  const std::string mine = std::to_string(::getpid()) + "\n";
  if (::ftruncate(descriptor, 0) != 0 ||
      ::pwrite(descriptor, mine.data(), mine.size(), 0) != static_cast<ssize_t>(mine.size())) {
    log::warn("ledger", "{}: {}", name, std::strerror(errno));
  }
  return std::unique_ptr<file_lock>(new file_lock(descriptor));
}

file_lock::~file_lock() {
  ::close(descriptor_);
}

result<std::unique_ptr<ledger_core>> ledger_core::open(ledger_options options) {
  std::unique_ptr<ledger_core> core(new ledger_core(std::move(options)));
  if (const auto ready = core->prepare(); !ready) {
    return fail(named(core->options_.file, ready.error()));
  }
  if (!core->options_.read_only) core->writer_ = std::thread([raw = core.get()] { raw->run(); });
  return core;
}

result<void> ledger::recognise(const std::filesystem::path& file) {
  auto db = sqlite::database::open(file, true);
  if (!db) return fail(db.error());
  const auto version = find_version(**db);
  if (!version) return fail(named(file, version.error()));
  if (*version > 0) return {};
  return fail(ec::bad_file, file.string() + ": the file is empty, expected a node's ledger");
}

result<void> ledger_core::prepare() {
  const bool writes = !options_.read_only;
  if (writes) {
    auto lock = file_lock::take(options_.file);
    if (!lock) return fail(lock.error());
    lock_ = std::move(*lock);
    auto db = sqlite::database::open(options_.file, false);
    if (!db) return fail(db.error());
    db_ = std::move(*db);
    db_->exec("PRAGMA journal_mode = WAL");
    // Every commit reaches the disk before anybody is told of it.
    db_->exec("PRAGMA synchronous = FULL");
    db_->exec("PRAGMA wal_autocheckpoint = 8000");
    db_->exec("PRAGMA cache_size = -65536");
    if (const auto ready = migrate(*db_); !ready) return ready;
  }
  auto reader = sqlite::database::open(options_.file, true);
  if (!reader) return fail(reader.error());
  reader_ = std::move(*reader);
  if (!writes) {
    const auto version = find_version(*reader_);
    if (!version) return fail(version.error());
    if (*version == 0) return fail(ec::bad_file, "the file is empty, expected a node's ledger");
    if (*version == ledger_version) return reader_->status();
    return fail(ec::bad_file, fmt::format("the ledger's file has version {}, expected {}: a node "
                                          "that starts with it brings it up to date",
                                          *version, ledger_version));
  }
  if (const auto read = read_secret(); !read) return read;
  store_ = std::make_unique<ledger_store>(*db_);
  state_ = std::make_unique<ledger_state>(*store_, options_);
  if (const auto loaded = state_->load(); !loaded) return loaded;
  if (options_.settle_lost_jobs) {
    state_->set_time(unix_milliseconds());
    db_->exec("BEGIN IMMEDIATE");
    state_->settle_lost_jobs();
    state_->flush();
    db_->exec("COMMIT");
  }
  return db_->status();
}

result<void> ledger_core::read_secret() {
  sqlite::statement add(*db_, "INSERT OR IGNORE INTO secrets VALUES ('node', ?)");
  const hash32 fresh = random_hash();
  add.run(sqlite::blob{fresh.view()});
  sqlite::statement get(*db_, "SELECT value FROM secrets WHERE name = 'node'");
  if (!get.start().next()) return db_->status();
  const auto secret = from_bytes<hash32>(get.bytes(0), "node secret");
  if (!secret) return fail(ec::bad_file, secret.error().message);
  secret_ = *secret;
  return {};
}

ledger_core::~ledger_core() {
  if (writer_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    writer_.join();
  }
}

std::optional<error> ledger_core::refusal(std::size_t tickets) const {
  if (options_.read_only) {
    return error{ec::bad_request, "the ledger is open for looking only: the node writes it", {}};
  }
  if (stopping_) return error{ec::draining, "the ledger is closing", {}};
  if (queue_.size() >= options_.max_queue ||
      (queued_tickets_ > 0 && queued_tickets_ + tickets > options_.max_queued_tickets)) {
    return error{ec::busy, "too many payments wait for the ledger", {}};
  }
  return std::nullopt;
}

void ledger_core::submit(std::unique_ptr<ledger_task> task, std::size_t tickets) {
  std::optional<error> refused;
  {
    const std::lock_guard lock(mutex_);
    refused = refusal(tickets);
    if (!refused) {
      queue_.push_back({std::move(task), tickets});
      queued_tickets_ += tickets;
    }
  }
  // Moved only where it was not refused.
  if (refused) return task->finish(&*refused);  // NOLINT(bugprone-use-after-move)
  wake_.notify_one();
}

ledger_stats ledger_core::stats() const {
  const std::lock_guard lock(mutex_);
  ledger_stats out = stats_;
  out.waiting = queue_.size();
  return out;
}

void ledger_core::run() {
  for (;;) {
    auto group = next_group();
    if (group.empty()) return;
    commit(std::move(group));
  }
}

// Empty only once the ledger closes and everything is done.
std::deque<ledger_core::entry> ledger_core::next_group() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
  std::deque<entry> out;
  std::size_t tickets = 0;
  while (!queue_.empty() &&
         (out.empty() || tickets + queue_.front().tickets <= most_tickets_in_group)) {
    tickets += queue_.front().tickets;
    out.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queued_tickets_ -= tickets;
  return out;
}

// True if all of it is durable.
bool ledger_core::apply(std::deque<entry>& group) {
  db_->exec("BEGIN IMMEDIATE");
  state_->set_time(unix_milliseconds());
  for (entry& e : group) e.task->apply(*state_);
  state_->flush();
  db_->exec("COMMIT");
  return db_->ok();
}

// After a failure nothing of the group has happened: memory is read from the file again.
void ledger_core::start_over() {
  db_->clear();
  db_->exec("ROLLBACK");
  // SQLite may have rolled back by itself, and then there is nothing to roll back.
  db_->clear();
  const auto again = state_->load();
  stale_ = !again;
  if (stale_) log::error("ledger", "cannot be read again: {}", again.error().message);
}

void ledger_core::commit(std::deque<entry> group) {
  std::string why;
  try {
    if (stale_) start_over();
    if (stale_) {
      why = "the ledger cannot be read";
    } else if (!apply(group)) {
      why = db_->failure().message;
    }
  } catch (const std::exception& e) {
    why = e.what();
  }
  if (why.empty()) {
    {
      const std::lock_guard lock(mutex_);
      ++stats_.commits;
      stats_.calls += group.size();
      for (const entry& e : group) stats_.tickets += e.tickets;
    }
    for (const entry& e : group) e.task->finish(nullptr);
    return;
  }
  log::error("ledger", "{} calls were not written: {}", group.size(), why);
  start_over();
  const error lost{ec::bad_file, why, {}};
  for (const entry& e : group) e.task->finish(&lost);
}

}  // namespace lp::payments
