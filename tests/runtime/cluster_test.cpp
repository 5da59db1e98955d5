// SPDX-License-Identifier: MIT
// Jobs through a whole cluster in this process: every hop is a real socket.
#include <future>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include <fmt/core.h>

#include "tests/cluster.hpp"

namespace lp::testing {
namespace {

std::size_t running(const gateway_client& client) {
  std::size_t sum = 0;
  for (const auto& o : client.orchestrators()) {
    sum += o.at("running").to_number<std::size_t>();
  }
  return sum;
}

std::size_t jobs(const gateway_client& client) {
  return client.health().at("jobs").to_number<std::size_t>();
}

std::string message(const answer& a) {
  return std::string(a.body.at("detail").at("msg").as_string());
}

TEST(cluster, a_job_passes_every_role_and_comes_back) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  const answer a = client.post("/noop", R"({"data":"hello"})");
  ASSERT_EQ(a.status, 200U) << a.text;
  EXPECT_EQ(a.body.at("data").as_string(), "hello");
  const auto route = a.route();
  ASSERT_EQ(route.size(), 3U);
  EXPECT_EQ(route[0], "gateway");
  EXPECT_EQ(route[1].substr(0, 5), "orch-");
  EXPECT_EQ(route[2], "worker-" + route[1].substr(5));
}

TEST(cluster, jobs_spread_over_the_orchestrators) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  std::set<std::string> seen;
  for (int i = 0; i < 4; ++i) seen.insert(client.post("/noop", "{}").route().at(1));
  EXPECT_EQ(seen.size(), 2U);
}

TEST(cluster, many_jobs_at_once_are_all_answered) {
  test_cluster cluster(noop_cluster(0, "slots = 4"));
  const auto client = cluster.client();
  constexpr int clients = 16;
  constexpr int each = 25;
  std::vector<std::future<int>> all;
  for (int c = 0; c < clients; ++c) {
    all.push_back(std::async(std::launch::async, [&client, c] {
      auto connection = client.connect();
      int right = 0;
      for (int i = 0; i < each; ++i) {
        const std::string data = fmt::format("{}-{}", c, i);
        const auto reply = connection.post_json("/noop", fmt::format(R"({{"data":"{}"}})", data),
                                                clock::now() + patience);
        right += reply && reply->status == 200 &&
                 reply->body.find('"' + data + '"') != std::string::npos;
      }
      return right;
    }));
  }
  int right = 0;
  for (auto& f : all) right += f.get();
  EXPECT_EQ(right, clients * each);
  EXPECT_EQ(jobs(client), 0U);
}

TEST(cluster, a_large_result_is_pulled_in_chunks_and_served_from_the_store) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  constexpr std::size_t size = 3'000'001;  // not a multiple of the chunk
  const answer a = client.post("/noop", fmt::format(R"({{"file_bytes":{}}})", size));
  ASSERT_EQ(a.status, 200U) << a.text;
  const std::string url(a.body.at("images").at(0).at("url").as_string());
  const std::string origin = fmt::format("http://127.0.0.1:{}", client.port());
  ASSERT_EQ(url.substr(0, origin.size()), origin);
  const answer file = client.get(url.substr(origin.size()));
  EXPECT_EQ(file.status, 200U);
  ASSERT_EQ(file.text.size(), size);
  for (std::size_t i = 0; i < size; i += 997) {
    ASSERT_EQ(static_cast<unsigned char>(file.text[i]), i * 31 % 251) << i;
  }
}

TEST(cluster, a_file_comes_as_data_url_where_asked_for) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  const answer a = client.post("/noop?media=data", R"({"file_bytes":3})");
  ASSERT_EQ(a.status, 200U) << a.text;
  EXPECT_EQ(a.body.at("images").at(0).at("url").as_string(),
            "data:application/octet-stream;base64,AB8+");
  EXPECT_EQ(client.post("/noop?media=fax", "{}").status, 422U);
}

TEST(cluster, a_refusal_goes_to_the_next_orchestrator_until_none_is_left) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  const answer a = client.post("/noop", R"({"fail":"load_failed"})");
  EXPECT_EQ(a.status, 503U);
  EXPECT_NE(message(a).find("after 2 tries"), std::string::npos) << a.text;
  EXPECT_NE(message(a).find("load_failed"), std::string::npos) << a.text;
}

TEST(cluster, a_failure_of_the_pipeline_is_told_as_it_is) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  const answer a = client.post("/noop", R"({"fail":"pipeline_failed"})");
  EXPECT_EQ(a.status, 500U);
  EXPECT_NE(message(a).find("pipeline_failed"), std::string::npos) << a.text;
  EXPECT_EQ(client.post("/noop", "{}").status, 200U);
}

TEST(cluster, unknown_models_pipelines_and_routes_are_told_apart) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  const answer model = client.post("/noop", R"({"model_id":"nope"})");
  EXPECT_EQ(model.status, 404U);
  EXPECT_NE(message(model).find("\"nope\""), std::string::npos) << model.text;
  const answer pipeline = client.post("/text-to-image", R"({"prompt":"a cat"})");
  EXPECT_EQ(pipeline.status, 503U);
  EXPECT_NE(message(pipeline).find("text-to-image"), std::string::npos) << pipeline.text;
  EXPECT_EQ(client.post("/nothing", "{}").status, 404U);
  EXPECT_EQ(client.get("/noop").status, 405U);
  EXPECT_EQ(client.post("/noop", "{").status, 400U);
  const answer fields = client.post("/noop", R"({"delay_ms":"x","steps":0})");
  EXPECT_EQ(fields.status, 422U);
  EXPECT_EQ(fields.body.at("detail").as_array().size(), 2U) << fields.text;
}

TEST(cluster, a_gateway_with_tokens_wants_one) {
  test_cluster cluster(noop_cluster(0, "", "tokens = [\"secret\"]"));
  const auto client = cluster.client();
  EXPECT_EQ(client.post("/noop", "{}").status, 401U);
  auto c = client.connect();
  const auto with = [&](const char* value) {
    const auto reply = c.send("POST", "/noop", "{}",
                              {{"Authorization", value}, {"Content-Type", "application/json"}},
                              clock::now() + patience);
    return reply ? reply->status : 0;
  };
  EXPECT_EQ(with("Bearer wrong!"), 401U);
  EXPECT_EQ(with("secret"), 401U);
  EXPECT_EQ(with("Bearer secret"), 200U);
  EXPECT_EQ(with("bearer secret"), 200U);
  EXPECT_EQ(with("BEARER   secret "), 200U);
  EXPECT_EQ(with("Bearer Secret"), 401U) << "the token itself is of one case";
  EXPECT_EQ(with("Bearersecret"), 401U);
  const auto twice = client.connect().send(
      "POST", "/noop", "{}", {{"Authorization", "Bearer secret"}, {"authorization", "Bearer x"}},
      clock::now() + patience);
  ASSERT_TRUE(twice);
  EXPECT_EQ(twice->status, 401U);
}

TEST(cluster, a_token_comes_before_the_body) {
  test_cluster cluster(noop_cluster(0, "", "tokens = [\"secret\"]"));
  const auto client = cluster.client();
  for (const char* route : {"/noop", "/quote", "/image-to-image", "/nowhere"}) {
    auto c = client.connect();
    ASSERT_TRUE(c.write(fmt::format("POST {} HTTP/1.1\r\nHost: h\r\nContent-Length: 15000000\r\n"
                                    "Expect: 100-continue\r\n\r\n",
                                    route),
                        clock::now() + patience));
    const auto reply = c.read_reply(clock::now() + patience);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, std::string(route) == "/nowhere" ? 404U : 401U);
  }
}

TEST(cluster, pages_of_configured_origins_may_use_it) {
  test_cluster cluster(
      noop_cluster(0, "", "tokens = [\"secret\"]\ncors_origins = [\"https://app.example\"]"));
  const auto client = cluster.client();
  auto c = client.connect();
  const auto asked =
      c.send("OPTIONS", "/noop", {},
             {{"Origin", "https://app.example"}, {"Access-Control-Request-Method", "POST"}},
             clock::now() + patience);
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->status, 204U) << "browsers ask without a token";
  const auto refused =
      c.send("POST", "/noop", "{}", {{"Origin", "https://app.example"}}, clock::now() + patience);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 401U);
  const std::string* allowed = net::find_header(refused->headers, "Access-Control-Allow-Origin");
  ASSERT_NE(allowed, nullptr);
  EXPECT_EQ(*allowed, "https://app.example");
}

TEST(cluster, a_client_that_leaves_takes_its_job_along) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  {
    auto c = client.connect();
    const std::string body = R"({"delay_ms":600000,"steps":100000})";
    ASSERT_TRUE(c.write(fmt::format("POST /noop HTTP/1.1\r\nHost: x\r\nContent-Type: "
                                    "application/json\r\nContent-Length: {}\r\n\r\n{}",
                                    body.size(), body),
                        clock::now() + patience));
    ASSERT_TRUE(eventually([&] { return running(client) == 1; }));
  }
  EXPECT_TRUE(eventually([&] { return jobs(client) == 0 && running(client) == 0; }));
}

TEST(cluster, a_job_past_its_deadline_is_answered) {
  test_cluster cluster(noop_cluster(0, "", "job_timeout = \"300ms\""));
  const auto client = cluster.client();
  const answer a = client.post("/noop", R"({"delay_ms":60000,"steps":6000})");
  EXPECT_EQ(a.status, 503U);
  EXPECT_NE(message(a).find("time was over"), std::string::npos) << a.text;
  // Waiting in a queue counts as well: the worker is free again and the next job runs.
  EXPECT_EQ(client.post("/noop", "{}").status, 200U);
}

TEST(cluster, an_orchestrator_that_dies_in_mid_job_is_replaced) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  auto pending = std::async(std::launch::async, [&] {
    return client.post("/noop", R"({"delay_ms":500,"steps":50,"data":"kept"})");
  });
  std::string busy;
  ASSERT_TRUE(eventually([&] {
    for (const auto& o : client.orchestrators()) {
      if (o.at("running").to_number<int>() == 1) busy = std::string(o.at("name").as_string());
    }
    return !busy.empty();
  }));
  cluster->kill(busy);
  const answer a = pending.get();
  ASSERT_EQ(a.status, 200U) << a.text;
  EXPECT_EQ(a.body.at("data").as_string(), "kept");
  EXPECT_NE(a.route().at(1), busy);
  // It may come back, on another port, and takes jobs again together with its worker.
  ASSERT_TRUE(cluster->start_node(busy));
  EXPECT_TRUE(client.wait_ready(2));
}

TEST(cluster, with_no_orchestrator_left_the_answer_is_a_clear_503) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  auto pending = std::async(std::launch::async, [&] {
    return client.post("/noop", R"({"delay_ms":600000,"steps":60000})");
  });
  ASSERT_TRUE(eventually([&] { return running(client) == 1; }));
  cluster->kill("orch-1");
  cluster->kill("orch-2");
  EXPECT_EQ(pending.get().status, 503U);
  const answer a = client.post("/noop", "{}");
  EXPECT_EQ(a.status, 503U);
  EXPECT_NE(message(a).find("no orchestrator"), std::string::npos) << a.text;
}

TEST(cluster, draining_finishes_what_runs_and_refuses_the_rest) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  auto pending = std::async(std::launch::async, [&] {
    return client.post("/noop", R"({"delay_ms":300,"steps":30,"data":"done"})");
  });
  ASSERT_TRUE(eventually([&] { return running(client) == 1; }));
  EXPECT_TRUE(cluster->shut_down(clock::now() + patience));
  const answer a = pending.get();
  EXPECT_EQ(a.status, 200U) << a.text;
  EXPECT_FALSE(net::http_client::connect("127.0.0.1", client.port(), clock::now() + seconds(1)));
}

TEST(cluster, jobs_that_outlast_the_draining_are_answered) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  auto pending = std::async(std::launch::async, [&] {
    return client.post("/noop", R"({"delay_ms":50000,"steps":5000})");
  });
  ASSERT_TRUE(eventually([&] { return running(client) == 1; }));
  EXPECT_FALSE(cluster->shut_down(clock::now() + milliseconds(200)));
  const answer a = pending.get();
  EXPECT_EQ(a.status, 503U) << a.text;
  EXPECT_NE(message(a).find("drain_timeout"), std::string::npos) << a.text;
}

TEST(cluster, peers_of_another_cluster_are_not_met) {
  const std::string text = noop_cluster(0, "", "", free_ports(2));
  test_cluster ours(text);
  // Another process's gateway, pointed at our orchestrators.
  const auto gateway_of = [&](const std::string& id) {
    std::string other = text;
    other.replace(other.find("id = \"test\""), 11, "id = \"" + id + "\"");
    other.replace(other.find("\"gateway\""), 9, "\"second\"");
    auto c = runtime::parse_config(other, "test.toml", ".");
    return std::move(*runtime::cluster::start(std::move(*c), "second"));
  };
  const auto client_of = [](runtime::cluster& c) {
    return gateway_client(c.find("second")->where().port);
  };
  const auto stranger = gateway_of("else");
  const auto friendly = gateway_of("test");
  ASSERT_TRUE(client_of(*friendly).wait_ready(2));
  EXPECT_FALSE(
      eventually([&] { return !client_of(*stranger).orchestrators().empty(); }, milliseconds(500)));
  EXPECT_EQ(client_of(*stranger).post("/noop", "{}").status, 503U);
}

}  // namespace
}  // namespace lp::testing
