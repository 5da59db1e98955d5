// SPDX-License-Identifier: MIT
// Clients that leave while the result of their paid job is under way between two nodes.
#include <gtest/gtest.h>

#include "tests/cluster.hpp"
#include "tests/paid/market.hpp"
#include "tests/support/relay.hpp"

namespace lp::testing {
namespace {

using payments::rational;

// Long before the time after which an orchestrator gives a worker up.
constexpr seconds promptly{20};

class cancelled_jobs : public ::testing::Test {
 protected:
  // One of each, with the worker behind the relay.
  std::string text() const {
    return fmt::format(R"(
log = "warn"
[cluster]
id = "test"
[payments]
data = "{}"
ticket_ev = "100 gwei"
[[gateway]]
name = "gateway"
http = "127.0.0.1:0"
orchestrators = ["orch"]
[[orchestrator]]
name = "orch"
listen = "127.0.0.1:{}"
price_per_unit = "400 gwei"
[[worker]]
name = "worker"
orchestrator = "127.0.0.1:{}"
slots = 2
)",
                       folder.path().string(), port, wire.port());
  }

  // The client of a job of three units leaves when the worker has told its result, which nobody has
  // heard yet.
  void leave_with_the_result_under_way() {
    ASSERT_EQ(client.post("/noop", "{}").status, 200U);
    wire.hold();
    {
      const leaving_client leaving(client.port(), "/noop", R"({"steps": 3, "data": "the-result"})");
      ASSERT_TRUE(leaving.sent());
      ASSERT_TRUE(eventually([&] { return wire.holds("the-result"); }));
    }
    ASSERT_TRUE(eventually(
        [&] { return client.orchestrators().at(0).at("running").to_number<int>() == 0; }));
  }

  bool open_jobs(const std::string& node) const {
    return !look_into(folder, node)->open_jobs().value().empty();
  }
  // What was charged for the latest job.
  rational charged(const std::string& node) const {
    rational out;
    const auto all = look_into(folder, node)->history(0, 1000).value();
    for (const auto& line : all) {
      if (line.what.kind == payments::event_kind::reserve) out = 0;
      if (line.what.kind == payments::event_kind::debit) out = line.what.amount;
    }
    return out;
  }

  scratch_folder folder;
  std::uint16_t port = free_ports(1);
  relay wire{port};
  test_cluster cluster{text()};
  gateway_client client = cluster.client();
};

TEST_F(cancelled_jobs, whose_result_is_under_way_are_charged_for_and_over_when_it_comes) {
  leave_with_the_result_under_way();
  EXPECT_TRUE(open_jobs("orch"));
  wire.release();
  ASSERT_TRUE(eventually([&] { return !open_jobs("orch") && !open_jobs("gateway"); }));
  EXPECT_EQ(charged("orch"), rational(3 * 400'000'000'000));
  EXPECT_EQ(charged("gateway"), rational(3 * 400'000'000'000));
  EXPECT_TRUE(cluster->find("orch")->drain(clock::now() + promptly));
}

TEST_F(cancelled_jobs, whose_worker_goes_away_hold_nothing_up) {
  leave_with_the_result_under_way();
  EXPECT_TRUE(open_jobs("orch"));
  cluster->kill("worker");
  wire.release();
  EXPECT_TRUE(cluster->find("orch")->drain(clock::now() + promptly));
  EXPECT_TRUE(eventually([&] { return !open_jobs("orch") && !open_jobs("gateway"); }, promptly));
}

}  // namespace
}  // namespace lp::testing
