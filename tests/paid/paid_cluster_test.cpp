// SPDX-License-Identifier: MIT
// Whole clusters in which money moves: real sockets, ledgers and signatures.
#include <gtest/gtest.h>

#include "tests/cluster.hpp"
#include "tests/paid/market.hpp"

namespace lp::testing {
namespace {

// Rates and prices as in practice: 0.02 USD for a noop is 8000 gwei at 2500 USD for an ETH.
std::string paid_cluster(const scratch_folder& folder, const std::string& first_price,
                         const std::string& second_price, const std::string& gateway_extra = {}) {
  return fmt::format(R"(
log = "warn"
[cluster]
id = "test"
[payments]
data = "{}"
ticket_ev = "100 gwei"
[payments.rates]
usd = 2500
[[gateway]]
name = "gateway"
http = "127.0.0.1:0"
orchestrators = ["orch-1", "orch-2"]
{}
[[orchestrator]]
name = "orch-1"
listen = "127.0.0.1:0"
price_per_unit = "{}"
[[orchestrator]]
name = "orch-2"
listen = "127.0.0.1:0"
price_per_unit = "{}"
[[worker]]
name = "worker-1"
orchestrator = "orch-1"
slots = 4
[[worker]]
name = "worker-2"
orchestrator = "orch-2"
slots = 4
)",
                     folder.path().string(), gateway_extra, first_price, second_price);
}

// The sum of one side's balances in a ledger that a node has open.
payments::rational total(const scratch_folder& folder, const std::string& node) {
  payments::rational sum;
  const auto all = look_into(folder, node)->accounts();
  for (const auto& line : *all) sum += line.balance.credit + line.balance.reserved;
  return sum;
}

std::size_t audited(const scratch_folder& folder, const std::string& node) {
  const auto report = look_into(folder, node)->audit(true);
  EXPECT_TRUE(report && report->ok());
  return report ? report->tickets : 0;
}

std::vector<payments::event_line> history(const scratch_folder& folder, const std::string& node) {
  return look_into(folder, node)->history(0, 10'000).value();
}

TEST(paid_cluster, jobs_are_paid_for_and_both_ledgers_agree) {
  const scratch_folder folder;
  test_cluster cluster(paid_cluster(folder, "0.001 usd", "0.001 usd"));
  const auto client = cluster.client();
  for (int i = 0; i < 6; ++i) {
    const auto answer = client.post("/noop", R"({"data": "x"})");
    ASSERT_EQ(answer.status, 200U) << answer.text;
  }
  // A price of 400 gwei and tickets of about 100: what is left over is less than a ticket each.
  EXPECT_TRUE(eventually([&] {
    return total(folder, "gateway") == total(folder, "orch-1") + total(folder, "orch-2");
  })) << total(folder, "gateway")
      << " at the gateway";
  EXPECT_GE(audited(folder, "orch-1") + audited(folder, "orch-2"), 24U);
  EXPECT_EQ(audited(folder, "gateway"), audited(folder, "orch-1") + audited(folder, "orch-2"));
}

TEST(paid_cluster, a_failed_job_costs_nothing) {
  const scratch_folder folder;
  test_cluster cluster(paid_cluster(folder, "400 gwei", "400 gwei"));
  const auto client = cluster.client();
  EXPECT_EQ(client.post("/noop", R"({"fail": "pipeline_failed"})").status, 500U);
  EXPECT_TRUE(eventually([&] {
    return total(folder, "gateway") > 0 &&
           total(folder, "gateway") == total(folder, "orch-1") + total(folder, "orch-2");
  }));
  EXPECT_GE(total(folder, "gateway"), payments::rational(400'000'000'000));
}

TEST(paid_cluster, a_client_that_leaves_pays_for_what_was_done) {
  const scratch_folder folder;
  test_cluster cluster(paid_cluster(folder, "1 gwei", "1 gwei"));
  const auto client = cluster.client();
  const auto spent = [&](const std::string& node, payments::side of) {
    payments::rational sum;
    for (const payments::event_line& line : history(folder, node)) {
      const bool mine = line.what.kind == payments::event_kind::debit && line.what.account.of == of;
      if (mine) sum += line.what.amount;
    }
    return sum;
  };
  const auto running = [&] {
    int jobs = 0;
    for (const auto& o : client.orchestrators()) jobs += o.at("running").to_number<int>();
    return jobs;
  };
  {
    // 1000 gwei for a minute's work.
    const std::string body = R"({"delay_ms": 60000, "steps": 1000})";
    auto leaving = client.connect();
    const auto gone = leaving.post_json("/noop", body, clock::now() + seconds(2));
    EXPECT_FALSE(gone) << "it takes a minute";
    EXPECT_EQ(running(), 1);
  }
  ASSERT_TRUE(eventually([&] { return running() == 0; }));
  const auto earned = [&] {
    return spent("orch-1", payments::side::incoming) + spent("orch-2", payments::side::incoming);
  };
  ASSERT_TRUE(eventually([&] { return earned() > 0; }));
  EXPECT_LT(earned(), payments::rational(900'000'000'000)) << "not for what was not done";
  EXPECT_TRUE(eventually([&] { return spent("gateway", payments::side::outgoing) == earned(); }))
      << "both sides count the same";
  EXPECT_TRUE(eventually([&] {
    return total(folder, "gateway") == total(folder, "orch-1") + total(folder, "orch-2");
  }));
  EXPECT_GT(total(folder, "gateway"), payments::rational(100'000'000'000)) << "the rest is back";
}

TEST(paid_cluster, quotes_before_it_runs_anything) {
  const scratch_folder folder;
  test_cluster cluster(paid_cluster(folder, "400 gwei", "1000 gwei"));
  const auto client = cluster.client();
  const auto answer = client.post("/quote", R"({"pipeline": "noop", "request": {"data": "x"}})");
  ASSERT_EQ(answer.status, 200U) << answer.text;
  const auto& quotes = answer.body.at("quotes").as_array();
  ASSERT_EQ(quotes.size(), 2U) << answer.text;
  EXPECT_EQ(quotes[0].at("orchestrator").as_string(), "orch-1");
  EXPECT_EQ(quotes[0].at("price_per_unit").as_string(), "400000000000");
  EXPECT_EQ(quotes[0].at("price").as_string(), "400000000000");
  EXPECT_EQ(quotes[0].at("units").to_number<int>(), 1);
  EXPECT_GE(quotes[0].at("tickets").to_number<int>(), 4);
  EXPECT_GT(quotes[0].at("expires_ms").to_number<std::int64_t>(), unix_ms());
  EXPECT_EQ(quotes[1].at("price").as_string(), "1000000000000");
  EXPECT_EQ(total(folder, "gateway"), 0) << "asking is free";
  EXPECT_EQ(client.post("/quote", R"({"pipeline": "fly"})").status, 422U);
  EXPECT_EQ(client.post("/quote", R"({"pipeline": "noop", "request": {"steps": 0}})").status, 422U);
}

TEST(paid_cluster, a_free_cluster_quotes_nothing) {
  test_cluster cluster(noop_cluster());
  const auto answer = cluster.client().post("/quote", R"({"pipeline": "noop"})");
  ASSERT_EQ(answer.status, 200U) << answer.text;
  EXPECT_EQ(answer.body.at("quotes").as_array().at(0).at("price").as_string(), "0");
}

TEST(paid_cluster, goes_to_whoever_is_within_the_price) {
  const scratch_folder folder;
  test_cluster cluster(paid_cluster(folder, "1000 gwei", "400 gwei",
                                    "[[gateway.max_price]]\namount = \"500 gwei\""));
  const auto client = cluster.client();
  for (int i = 0; i < 4; ++i) {
    const auto answer = client.post("/noop", "{}");
    ASSERT_EQ(answer.status, 200U) << answer.text;
    EXPECT_EQ(answer.route().at(1), "orch-2");
  }
  const auto cheaper = client.post("/noop", R"({"max_price": "0.0000001 usd"})");
  EXPECT_EQ(cheaper.status, 402U) << cheaper.text;
  EXPECT_EQ(client.post("/noop?max_price=400%20gwei", "{}").status, 200U);
  EXPECT_EQ(client.post("/noop?max_price=399%20gwei", "{}").status, 402U);
  // In both places: the smaller counts.
  EXPECT_EQ(client.post("/noop?max_price=1%20eth", R"({"max_price": "399 gwei"})").status, 402U);
  EXPECT_EQ(client.post("/noop?max_price=399%20gwei", R"({"max_price": "1 eth"})").status, 402U);
  EXPECT_EQ(client.post("/noop?max_price=1%20eth", R"({"max_price": "400 gwei"})").status, 200U);
  EXPECT_EQ(client.post("/noop?max_price=1%20eth", R"({"max_price": "much"})").status, 422U);
  EXPECT_EQ(client.post("/noop", R"({"max_price": "much"})").status, 422U);
  EXPECT_EQ(client.post("/noop", R"({"max_price": -1})").status, 422U);
  EXPECT_EQ(client.post("/noop", R"({"max_price": 4e11})").status, 200U);
  for (const auto& [limit, status] :
       {std::pair{"400 gwei", 200U}, {"399 gwei", 402U}, {"x", 422U}}) {
    net::form_writer form;
    form.add("data", "x");
    form.add("max_price", limit);
    const auto answer = client.post_form("/noop", std::move(form));
    EXPECT_EQ(answer.status, status) << answer.text;
  }
}

TEST(paid_cluster, takes_new_prices_without_a_restart) {
  const scratch_folder folder;
  const std::string extra = "[[gateway.max_price]]\namount = \"500 gwei\"";
  test_cluster cluster(paid_cluster(folder, "400 gwei", "400 gwei", extra));
  const auto client = cluster.client();
  ASSERT_EQ(client.post("/noop", "{}").status, 200U);
  const auto quoted = [&] {
    return client.post("/quote", R"({"pipeline": "noop"})").body.at("quotes").at(0).as_object();
  };
  const auto before = quoted();
  EXPECT_FALSE(before.contains("next_price_per_unit"));
  const auto fresh = runtime::parse_config(paid_cluster(folder, "700 gwei", "700 gwei", extra),
                                           "test.toml", LP_SOURCE_DIR);
  ASSERT_TRUE(fresh);
  cluster->reload(*fresh);
  // Announced at once; terms that were given hold to their end.
  EXPECT_TRUE(eventually([&] {
    const auto all = client.orchestrators();
    return all.at(0).at("models").at(0).at("price_per_unit").as_string() == "700000000000";
  }));
  EXPECT_EQ(client.post("/noop", "{}").status, 200U);
  const auto after = quoted();
  EXPECT_EQ(after.at("price_per_unit").as_string(), "400000000000");
  EXPECT_EQ(after.at("next_price_per_unit").as_string(), "700000000000");
  const auto holds_until = after.at("expires_ms").to_number<std::int64_t>();
  EXPECT_GT(holds_until, unix_ms());
  EXPECT_LE(holds_until, unix_ms() + 300'000);
  EXPECT_NEAR(static_cast<double>(holds_until), before.at("expires_ms").to_number<double>(), 1000)
      << "asking makes no promise longer";
}

TEST(paid_cluster, an_orchestrator_and_a_gateway_come_back_with_their_money) {
  const scratch_folder folder;
  test_cluster cluster(paid_cluster(folder, "400 gwei", "400 gwei"));
  const auto client = cluster.client();
  ASSERT_EQ(client.post("/noop", R"({"fail": "pipeline_failed"})").status, 500U);
  ASSERT_TRUE(eventually([&] { return total(folder, "gateway") > 0; }));
  const auto before = total(folder, "gateway");
  for (const char* node : {"orch-1", "orch-2"}) {
    cluster->kill(node);
    ASSERT_TRUE(eventually([&] { return client.orchestrators().size() == 1; }));
    ASSERT_TRUE(cluster->start_node(node));
    ASSERT_TRUE(client.wait_ready(2));
  }
  for (int i = 0; i < 4; ++i) {
    const auto answer = client.post("/noop", "{}");
    ASSERT_EQ(answer.status, 200U) << answer.text;
  }
  EXPECT_TRUE(eventually([&] {
    return total(folder, "gateway") == total(folder, "orch-1") + total(folder, "orch-2");
  }));
  EXPECT_LT(total(folder, "gateway"), before + payments::rational(400'000'000'000));
}

}  // namespace
}  // namespace lp::testing
