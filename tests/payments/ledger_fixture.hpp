// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "payments/ledger.hpp"
#include "payments/sqlite.hpp"
#include "tests/payments/parties.hpp"

namespace lp::payments::testing {

/// A ledger in a folder of its own, with an orchestrator that uses its secret.
class ledger_test : public ::testing::Test {
 protected:
  ledger_test() { reopen(); }

  void reopen() {
    book.reset();
    auto opened = ledger::open(options);
    ASSERT_TRUE(opened) << opened.error().message;
    book = std::move(*opened);
    if (!p) p.emplace(book->node_secret());
  }
  receipt receive(checked_payment paid) { return book->receive(std::move(paid)).get().value(); }
  account incoming() { return book->balance(p->incoming()).value(); }
  account outgoing() { return book->balance(p->outgoing()).value(); }
  void expect_sound() {
    const auto report = book->audit(true);
    ASSERT_TRUE(report) << report.error().message;
    for (const std::string& problem : report->problems) ADD_FAILURE() << problem;
  }
  /// Changes the file behind the ledger's back.
  void meddle(const char* sql) {
    auto db = sqlite::database::open(options.file, false).value();
    db->exec(sql);
    ASSERT_TRUE(db->ok()) << db->failure().message;
  }
  /// Of a certain winner: the parameters are offered with the largest probability.
  ticket_params sure_offer() {
    recipient_config config;
    config.max_face_value = config.ticket_ev;
    sure.emplace(p->orchestrator.address(), book->node_secret(), config);
    return sure->offer(p->terms(), p->view, {}, 0).value();
  }

  scratch_folder folder;
  ledger_options options{folder / "ledger.sqlite"};
  std::unique_ptr<ledger> book;
  std::optional<parties> p;
  std::optional<recipient> sure;
};

}  // namespace lp::payments::testing
