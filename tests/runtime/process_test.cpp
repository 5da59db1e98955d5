// SPDX-License-Identifier: MIT
// The real program, one process a node, and signals.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <fmt/format.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "runtime/base/bytes.hpp"

#include "tests/cluster.hpp"

namespace lp::testing {
namespace {

struct processes {
  std::uint16_t http = free_ports(3);
  std::unique_ptr<process_cluster> cluster;
  gateway_client client{http};

  explicit processes(const std::string& gateway_extra = {}) {
    cluster =
        std::make_unique<process_cluster>(noop_cluster(http, "slots = 2", gateway_extra, http + 1));
    for (const char* node : {"orch-1", "orch-2", "worker-1", "worker-2", "gateway"}) {
      cluster->start(node);
    }
    if (!client.wait_ready(2)) throw std::runtime_error("the processes do not come up");
  }

  /// The orchestrator that runs a job now, by its number.
  std::string busy() {
    std::string number;
    eventually([&] {
      for (const auto& o : client.orchestrators()) {
        if (o.at("running").to_number<int>() > 0) number = o.at("name").as_string().back();
      }
      return !number.empty();
    });
    return number;
  }
};

TEST(processes, find_each_other_and_stop_cleanly_on_sigterm) {
  processes p;
  const answer a = p.client.post("/noop", R"({"data":"x"})");
  ASSERT_EQ(a.status, 200U) << a.text;
  for (const char* node : {"gateway", "orch-1", "orch-2", "worker-1", "worker-2"}) {
    p.cluster->signal(node, SIGTERM);
    EXPECT_EQ(p.cluster->wait(node), 0) << node;
  }
}

TEST(processes, a_worker_killed_in_mid_job_leads_to_another_try) {
  processes p;
  auto pending = std::async(std::launch::async, [&] {
    return p.client.post("/noop", R"({"delay_ms":1000,"steps":100,"data":"kept"})");
  });
  const std::string number = p.busy();
  ASSERT_FALSE(number.empty());
  p.cluster->signal("worker-" + number, SIGKILL);
  const answer a = pending.get();
  ASSERT_EQ(a.status, 200U) << a.text;
  EXPECT_EQ(a.body.at("data").as_string(), "kept");
  EXPECT_NE(a.route().at(2), "worker-" + number);
}

TEST(processes, a_frozen_worker_costs_the_deadline_and_no_more) {
  processes p("job_timeout = \"1500ms\"");
  auto pending = std::async(std::launch::async, [&] {
    return p.client.post("/noop", R"({"delay_ms":1000,"steps":100})");
  });
  const std::string number = p.busy();
  ASSERT_FALSE(number.empty());
  p.cluster->signal("worker-" + number, SIGSTOP);
  const answer a = pending.get();
  p.cluster->signal("worker-" + number, SIGCONT);
  EXPECT_EQ(a.status, 503U) << a.text;
}

TEST(processes, an_orchestrator_that_is_restarted_is_found_again) {
  processes p;
  p.cluster->signal("orch-1", SIGKILL);
  EXPECT_EQ(p.cluster->wait("orch-1"), 128 + SIGKILL);
  EXPECT_TRUE(p.client.wait_ready(1));
  p.cluster->start("orch-1");
  EXPECT_TRUE(p.client.wait_ready(2));
}

TEST(processes, sigterm_lets_the_running_job_finish) {
  processes p;
  auto pending = std::async(std::launch::async, [&] {
    return p.client.post("/noop", R"({"delay_ms":700,"steps":70,"data":"kept"})");
  });
  ASSERT_FALSE(p.busy().empty());
  p.cluster->signal("gateway", SIGTERM);
  EXPECT_EQ(pending.get().status, 200U);
  EXPECT_EQ(p.cluster->wait("gateway"), 0);
}

// A step cannot be interrupted: the process is ended all the same, and its client is answered.
TEST(processes, sigterm_ends_a_worker_that_is_busy_beyond_its_time) {
  const std::uint16_t http = free_ports(3);
  std::string text = noop_cluster(http, "slots = 2", "job_timeout = \"4s\"", http + 1);
  text.insert(text.find("[[gateway]]"), "drain_timeout = \"500ms\"\n");
  process_cluster cluster(text);
  for (const char* node : {"orch-1", "worker-1", "gateway"}) cluster.start(node);
  gateway_client client{http};
  ASSERT_TRUE(client.wait_ready(1));
  auto pending = std::async(
      std::launch::async, [&] { return client.post("/noop", R"({"delay_ms":60000,"steps":1})"); });
  ASSERT_TRUE(eventually(
      [&] { return client.orchestrators().front().at("running").to_number<int>() > 0; }));
  cluster.signal("worker-1", SIGTERM);
  EXPECT_EQ(pending.get().status, 503U);
  const int status = cluster.wait("worker-1", seconds(30));
  EXPECT_TRUE(status == 0 || status == 75) << status;
}

TEST(processes, sigterm_ends_a_node_that_is_still_starting) {
  boost::asio::io_context io;
  boost::asio::ip::tcp::acceptor silent(io, {boost::asio::ip::make_address("127.0.0.1"), 0});
  process_cluster cluster(fmt::format(R"(
[payments]
chain = "rpc"
endpoints = ["http://127.0.0.1:{}"]
controller = "0x0000000000000000000000000000000000000001"
[[orchestrator]]
name = "orch"
listen = "127.0.0.1:{}"
)",
                                      silent.local_endpoint().port(), free_ports(1)));
  cluster.start("orch");
  const auto asked = silent.accept();
  cluster.signal("orch", SIGTERM);
  EXPECT_EQ(cluster.wait("orch", seconds(20)), 75);
}

TEST(processes, check_tells_all_mistakes_and_that_in_its_exit_status) {
  const std::string folder =
      (std::filesystem::temp_directory_path() / "lp_check_").string() + random_hex(8);
  std::filesystem::create_directories(folder);
  const auto check = [&](const std::string& text) {
    std::ofstream(folder + "/c.toml") << text;
    const std::string line = fmt::format(
        "{}/bin/lp-runtime --config {}/c.toml --check >{}/out 2>&1", LP_BINARY_DIR, folder, folder);
    const int status = std::system(line.c_str());
    std::ifstream in(folder + "/out");
    return std::pair(WEXITSTATUS(status), std::string(std::istreambuf_iterator<char>(in), {}));
  };
  const auto [good, printed] = check(noop_cluster());
  EXPECT_EQ(good, 0) << printed;
  EXPECT_NE(printed.find("name = 'worker-2'"), std::string::npos) << printed;
  const auto [bad, told] = check(noop_cluster(0, "device = \"cpu:999\"", "http_ = 1"));
  EXPECT_EQ(bad, 78) << told;
  const auto [both, all] = check(noop_cluster(0, "device = \"cpu:999\""));
  EXPECT_EQ(both, 78);
  const auto first = all.find("[[worker]] device: cpu:999");
  ASSERT_NE(first, std::string::npos) << all;
  EXPECT_NE(all.find("[[worker]] device: cpu:999", first + 1), std::string::npos) << all;
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace lp::testing
