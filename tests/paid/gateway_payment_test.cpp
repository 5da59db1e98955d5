// SPDX-License-Identifier: MIT
// What a gateway makes of an orchestrator's refusals: a real gateway and payer, and an orchestrator
// whose answers the test chooses.
#include <deque>
#include <future>

#include <gtest/gtest.h>

#include "actors/errors.hpp"
#include "actors/gateway.hpp"
#include "actors/payer.hpp"
#include "net/wire/convert.hpp"
#include "runtime/actor_host.hpp"
#include "tests/cluster.hpp"
#include "tests/paid/market.hpp"

namespace lp::testing {
namespace {

using actors::orchestrator_actor;

// What happened at an orchestrator. Written by its actor, read when the job is over.
struct ledger_of_jobs {
  std::deque<error> refusals;  ///< of the next jobs, before any is taken
  std::vector<wire::JobRequest> seen;
  std::vector<result<std::string>> admitted;
  int terms = 0;
};

// States terms and takes payments as a till does; every job is done at once.
orchestrator_actor spawn_seller(caf::actor_system& system, seller& desk, ledger_of_jobs& book,
                                const buyer& by) {
  return system.spawn(
      [&desk, &book, &by](orchestrator_actor::pointer self) -> orchestrator_actor::behavior_type {
        const auto answer = [self, &desk, &book, &by](const actors::job_request& r) {
          const auto gateway = caf::actor_cast<actors::gateway_actor>(self->current_sender());
          const auto refuse = [&](const error& e) {
            self->send(gateway, actors::failed_atom_v,
                       actors::job_failure(actors::make_failure(r->id(), e)));
          };
          book.seen.push_back(r.value);
          if (!book.refusals.empty()) {
            refuse(book.refusals.front());
            return book.refusals.pop_front();
          }
          book.admitted.push_back(desk.admit(r.value));
          if (!book.admitted.back()) return refuse(book.admitted.back().error());
          desk.finish(by, r->id(), 1, r->payment_try() > 0);
          wire::JobResult done;
          done.set_id(r->id());
          done.set_units(1);
          self->send(gateway, actors::done_atom_v, actors::job_result(done));
        };
        return {
            [](actors::hello_atom, const actors::hello& h) { return h; },
            [](actors::watch_atom, const caf::strong_actor_ptr&) {},
            [](actors::worker_atom, const actors::worker_state&, const caf::strong_actor_ptr&) {},
            [answer](actors::run_atom, const actors::job_request& r) { answer(r); },
            [](actors::done_atom, const actors::job_result&) {},
            [](actors::failed_atom, const actors::job_failure&) {},
            [](actors::cancel_atom, const std::string&) {},
            [](actors::read_atom, const actors::chunk_request&) { return actors::chunk(); },
            [&desk, &book](actors::terms_atom,
                           const actors::terms_request& r) -> caf::result<actors::terms> {
              ++book.terms;
              auto stated = desk.terms(r.value);
              if (!stated) return actors::to_caf(stated.error());
              return actors::terms(*stated);
            },
            [](actors::drain_atom, const actors::drained_ptr&) {},
            [](actors::announce_atom) {},
            [](caf::tick_atom) {},
        };
      });
}

class paying_gateway : public ::testing::Test {
 protected:
  paying_gateway() {
    for (seller* s : {&first, &second}) s->now_ms = unix_ms();
    auto payer = actors::spawn_payer(
        host.system(), std::shared_ptr<actors::purse>(account.wallet.get(), [](auto*) {}),
        std::make_shared<steady_time>());
    host.own(payer);
    gateway = actors::spawn_gateway(host.system(), {"gateway", 16, payer});
    host.own(gateway);
  }
  ~paying_gateway() override {
    gateway = actors::gateway_actor{};
    host.end();
    account.money.reset();  // its last callbacks reach the purse
  }

  void connect(seller& desk, ledger_of_jobs& book) {
    const auto there = spawn_seller(host.system(), desk, book, account);
    host.own(there);
    wire::Announcement a;
    a.set_node(desk.node);
    a.set_slots(4);
    wire::Offer& offer = *a.add_offers();
    offer.set_pipeline("noop");
    offer.set_model("noop");
    offer.set_is_default(true);
    offer.set_warm(true);
    actors::post(gateway, actors::peer_up_atom_v, actors::announcement(a),
                 caf::actor_cast<caf::strong_actor_ptr>(there));
  }

  result<wire::JobResult> run(std::vector<payments::money> max_prices = {}) {
    auto job = std::make_shared<actors::submission>();
    job->request = noop_job("job-" + std::to_string(++jobs));
    job->deadline = clock::now() + patience;
    job->max_prices = std::move(max_prices);
    const auto told = std::make_shared<std::promise<result<wire::JobResult>>>();
    job->done = [told](result<wire::JobResult> r) { told->set_value(std::move(r)); };
    actors::post(gateway, actors::submit_atom_v, job);
    return told->get_future().get();
  }

  static runtime::config configuration() {
    return runtime::parse_config(noop_cluster(), "test.toml", LP_SOURCE_DIR).value();
  }

  int jobs = 0;
  scratch_folder folder;
  seller first{folder.path(), "first", "80 gwei"};
  seller second{folder.path(), "second", "80 gwei"};
  ledger_of_jobs at_first, at_second;
  buyer account{folder.path()};
  runtime::actor_host host{configuration()};
  actors::gateway_actor gateway;
};

const error no_credit{
    ec::payment_required, "the job costs 80 wei, and credit and tickets cover 0", {}};
const error wrong_time{ec::unauthorized, "authorisation: it has expired", {}};

TEST_F(paying_gateway, pays_again_by_new_terms_where_nobody_else_is_left) {
  connect(first, at_first);
  ASSERT_TRUE(run());
  for (const error& refusal : {no_credit, wrong_time, error{ec::payment_expired, "", {}}}) {
    at_first.refusals.push_back(refusal);
    const int terms = at_first.terms;
    const auto done = run();
    ASSERT_TRUE(done) << render(done.error());
    EXPECT_EQ(at_first.terms, terms + 1) << "new terms";
    const wire::JobRequest& again = at_first.seen.back();
    const wire::JobRequest& before = at_first.seen[at_first.seen.size() - 2];
    EXPECT_EQ(again.id(), before.id());
    EXPECT_EQ(again.payment_try(), 1U);
    EXPECT_NE(again.authorisation().signature(), before.authorisation().signature());
  }
}

TEST_F(paying_gateway, goes_to_another_orchestrator_first) {
  connect(first, at_first);
  connect(second, at_second);
  at_first.refusals.push_back(wrong_time);
  at_second.refusals.push_back(wrong_time);
  const auto done = run();
  ASSERT_TRUE(done) << render(done.error());
  EXPECT_EQ(at_first.seen.size() + at_second.seen.size(), 3U);
  EXPECT_GE(at_first.seen.size(), 1U);
  EXPECT_GE(at_second.seen.size(), 1U);
}

TEST_F(paying_gateway, gives_up_after_the_second_refusal_and_blames_nobody_wrongly) {
  connect(first, at_first);
  for (int i = 0; i < 2; ++i) at_first.refusals.push_back(wrong_time);
  auto done = run();
  ASSERT_FALSE(done);
  EXPECT_EQ(http_status(done.error().code), 503U) << "the client's token is fine";
  EXPECT_EQ(at_first.seen.size(), 2U);
  for (int i = 0; i < 2; ++i) at_first.refusals.push_back(no_credit);
  done = run();
  ASSERT_FALSE(done);
  EXPECT_EQ(http_status(done.error().code), 402U);
}

TEST_F(paying_gateway, pays_no_more_than_the_request_allows) {
  connect(first, at_first);
  const auto limit = [](const char* text) { return *payments::parse_money(text); };
  const auto done = run({limit("1000 gwei"), limit("79 gwei")});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ec::over_budget);
  EXPECT_TRUE(at_first.seen.empty());
  EXPECT_TRUE(run({limit("80 gwei"), limit("1000 gwei")}));
}

}  // namespace
}  // namespace lp::testing
