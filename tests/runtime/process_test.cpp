// SPDX-License-Identifier: MIT
// The real program, one process a node, and signals.
#include <csignal>
#include <future>

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace lp::testing
