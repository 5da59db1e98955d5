// SPDX-License-Identifier: MIT
#include "tests/payments/ledger_fixture.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>

#include <sys/resource.h>
#include <sys/stat.h>

#include "payments/ledger_schema.hpp"

namespace lp::payments {
namespace {

using testing::ledger_test;
using testing::scope;
using testing::scratch_folder;

TEST_F(ledger_test, is_private_and_keeps_its_secret) {
  struct stat facts = {};
  ASSERT_EQ(::stat(options.file.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600U);
  const hash32 secret = book->node_secret();
  EXPECT_FALSE(secret.is_zero());
  reopen();
  EXPECT_EQ(book->node_secret(), secret);
}

TEST_F(ledger_test, has_one_writer_and_many_readers) {
  const auto second = ledger::open(options);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ec::bad_file);
  EXPECT_NE(second.error().message.find(fmt::format("process {} (", ::getpid())), std::string::npos)
      << second.error().message;
  ledger_options looking = options;
  looking.read_only = true;
  const auto reader = ledger::open(looking);
  ASSERT_TRUE(reader) << reader.error().message;
  receive(p->checked(p->offer(), 1, 2));
  EXPECT_EQ((*reader)->balance(p->incoming()).value().credit, incoming().credit);
  EXPECT_EQ((*reader)->settle(p->incoming(), "a", 0).get().error().code, ec::bad_request);
  EXPECT_TRUE((*reader)->audit().value().ok());
}

TEST_F(ledger_test, keeps_notes) {
  EXPECT_FALSE(book->note("block").value());
  ASSERT_TRUE(book->set_note("block", std::string("\0\1", 2)).get());
  ASSERT_TRUE(book->set_note("block", "7").get());
  reopen();
  EXPECT_EQ(book->note("block").value(), "7");
  EXPECT_FALSE(book->set_note("", "7").get());
  EXPECT_FALSE(book->set_note("x", std::string(4097, 'x')).get());
}

// Nothing is said to be done that is not, and what failed leaves no trace.
TEST_F(ledger_test, a_full_disk_loses_nothing) {
  const ticket_params offer = p->offer();
  receive(p->checked(offer, 1, 1));
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tiny{16, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tiny), 0);
  const auto lost = book->receive(p->checked(offer, 2, 1)).get();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ec::bad_file);
  EXPECT_EQ(incoming().credit, expected_value(offer));
  EXPECT_EQ(receive(p->checked(offer, 2, 1)).accepted, 1U);
  expect_sound();
}

TEST_F(ledger_test, an_audit_finds_what_does_not_agree) {
  const ticket_params offer = sure_offer();
  receive(sure->check(p->pay(offer, 1, 3), scope, p->view, {}).value());
  ASSERT_TRUE(book->fund({p->offer(), "a", 5, {}, {}}).get());
  const auto problems = [&](const char* sql) {
    book.reset();
    const auto saved = options.file.string() + ".saved";
    std::filesystem::copy_file(options.file, saved,
                               std::filesystem::copy_options::overwrite_existing);
    meddle(sql);
    options.read_only = true;
    reopen();
    const auto report = book->audit(true).value();
    book.reset();
    for (const char* end : {"-wal", "-shm"}) std::filesystem::remove(options.file.string() + end);
    std::filesystem::rename(saved, options.file);
    return report.problems.size();
  };
  EXPECT_EQ(problems("SELECT 1"), 0U);
  EXPECT_GT(problems("UPDATE accounts SET credit = '1' WHERE side = 1"), 0U);
  EXPECT_GT(problems("DELETE FROM accounts"), 0U);
  EXPECT_GT(problems("INSERT INTO accounts VALUES (1, x'0000000000000000000000000000000000000007', "
                     "'1', '0')"),
            0U);
  EXPECT_GT(problems("DELETE FROM payments WHERE id = 1"), 0U);
  EXPECT_GT(problems("UPDATE payments SET count = 2, tickets = substr(tickets, 1, 138)"), 0U);
  EXPECT_GT(problems("UPDATE payments SET tickets = substr(tickets, 1, 138) || substr(tickets, 1, "
                     "69) WHERE id = 1"),
            0U);
  EXPECT_GT(problems("DELETE FROM winners WHERE nonce = 2"), 0U);
  EXPECT_GT(problems("UPDATE winners SET nonce = 9 WHERE nonce = 2"), 0U);
  EXPECT_GT(problems("UPDATE sessions SET nonces = x'' WHERE side = 1"), 0U);
  EXPECT_GT(problems("UPDATE sessions SET next_nonce = 1 WHERE side = 2"), 0U);
  EXPECT_GT(problems("UPDATE sessions SET face_value = x'01' WHERE side = 1"), 0U);
  EXPECT_GT(problems("DELETE FROM jobs"), 0U);
  EXPECT_GT(problems("UPDATE payments SET value = 'many'"), 0U);
  EXPECT_GT(problems("DROP TRIGGER events_remain; DELETE FROM events WHERE id = 1"), 0U);
  EXPECT_GT(problems("DROP TRIGGER events_stay; UPDATE events SET amount = '3' WHERE id = 1"), 0U);
}

TEST_F(ledger_test, an_audit_ends_at_its_deadline) {
  meddle(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
      "INSERT INTO events (at, kind, side, other, amount, job, payment) "
      "SELECT 0, 1, 1, zeroblob(20), '1', '', i FROM n");
  const auto late = book->audit(false, clock::now());
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ec::deadline_exceeded);
  EXPECT_TRUE(book->audit(false, clock::now() + seconds(60)));
}

TEST_F(ledger_test, has_one_writer_by_whatever_name) {
  std::filesystem::create_symlink(options.file, folder / "other.sqlite");
  const auto second = ledger::open({folder / "other.sqlite"});
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("uses this ledger"), std::string::npos);
}

TEST_F(ledger_test, is_recognised_while_it_is_used) {
  EXPECT_TRUE(ledger::recognise(options.file));
  EXPECT_FALSE(ledger::recognise(folder / "missing"));
  EXPECT_FALSE(std::filesystem::exists(folder / "missing"));
  std::ofstream(folder / "empty");
  EXPECT_FALSE(ledger::recognise(folder / "empty"));
  std::ofstream(folder / "text") << std::string(5000, 'x');
  EXPECT_FALSE(ledger::recognise(folder / "text"));
}

TEST_F(ledger_test, events_are_only_appended) {
  receive(p->checked(p->offer(), 1, 1));
  auto db = sqlite::database::open(options.file, false).value();
  for (const char* sql : {"DELETE FROM events", "UPDATE events SET amount = '0'"}) {
    db->exec(sql);
    EXPECT_NE(db->failure().message.find("only ever appended"), std::string::npos);
    db->clear();
  }
}

TEST(ledger_file, is_brought_up_to_date) {
  const scratch_folder folder;
  const auto file = folder / "ledger.sqlite";
  {
    auto db = sqlite::database::open(file, false).value();
    ASSERT_TRUE(migrate(*db, 1));
    db->exec("INSERT INTO secrets VALUES ('node', zeroblob(32))");
    ASSERT_TRUE(db->ok());
  }
  auto book = ledger::open({file});
  ASSERT_TRUE(book) << book.error().message;
  EXPECT_TRUE((*book)->node_secret().is_zero());
  EXPECT_TRUE((*book)->set_note("a", "b").get());
}

TEST(ledger_file, of_another_kind_is_refused) {
  const scratch_folder folder;
  const auto why = [&](const char* name) {
    const auto book = ledger::open({folder / name});
    return book ? std::string("opened") : book.error().message;
  };
  {
    auto db = sqlite::database::open(folder / "other", false).value();
    db->exec("CREATE TABLE t (x)");
    auto newer = sqlite::database::open(folder / "newer", false).value();
    ASSERT_TRUE(migrate(*newer));
    newer->exec("PRAGMA user_version = 99");
    std::ofstream(folder / "text") << std::string(5000, 'x');
  }
  EXPECT_NE(why("other").find("another program"), std::string::npos);
  EXPECT_NE(why("newer").find("version 99"), std::string::npos);
  EXPECT_NE(why("text").find("not a database"), std::string::npos);
  EXPECT_NE(why("no/such/folder").find("No such file"), std::string::npos);
  ledger_options looking{folder / "missing"};
  looking.read_only = true;
  EXPECT_FALSE(ledger::open(looking));
}

// A power cut may leave any beginning of the log of writes; whatever it leaves is sound.
TEST_F(ledger_test, every_beginning_of_the_log_is_sound) {
  for (int i = 0; i < 4; ++i) {
    const ticket_params offer = p->offer();
    receive(p->checked(offer, 1, 3));
    ASSERT_TRUE(book->admit(p->admit(fmt::format("a{}", i), 5)).get());
    ASSERT_TRUE(book->fund({offer, fmt::format("b{}", i), 5, {}, {}}).get());
    ASSERT_TRUE(book->settle(p->incoming(), fmt::format("a{}", i), 2).get());
  }
  const auto log = options.file.string() + "-wal";
  const auto size = std::filesystem::file_size(log);
  ASSERT_GT(size, 100'000U);
  std::set<std::uint64_t> seen;
  for (std::uintmax_t cut = 0; cut <= size; cut += size / 40) {
    const auto copy = folder / "copy.sqlite";
    std::filesystem::copy_file(options.file, copy,
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::copy_file(log, copy.string() + "-wal",
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(copy.string() + "-wal", cut);
    auto opened = ledger::open({copy});
    ASSERT_TRUE(opened) << opened.error().message;
    const auto report = (*opened)->audit(true).value();
    for (const std::string& problem : report.problems) ADD_FAILURE() << cut << ": " << problem;
    seen.insert(report.payments);
  }
  EXPECT_GT(seen.size(), 4U);
}

}  // namespace
}  // namespace lp::payments
