// SPDX-License-Identifier: MIT
// Processes whose hosts' clocks differ and are set while jobs are paid for.
#include <csignal>
#include <fstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/cluster.hpp"
#include "tests/paid/market.hpp"

namespace lp::testing {
namespace {

// A clock for one process.
class host_clock {
 public:
  explicit host_clock(std::filesystem::path file) : file_(std::move(file)) { set(0); }

  void set(std::int64_t seconds_ahead) {
    const int fd = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    EXPECT_EQ(::pwrite(fd, &seconds_ahead, sizeof seconds_ahead, 0),
              static_cast<ssize_t>(sizeof seconds_ahead));
    ::close(fd);
  }
  std::vector<std::string> environment() const {
    return {"LD_PRELOAD=" LP_BINARY_DIR "/bin/clock_shift.so", "LP_TEST_CLOCK=" + file_.string()};
  }

 private:
  std::filesystem::path file_;
};

class clock_cluster : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the sanitizer has to be loaded first";
#endif
  }
  static std::string text(const scratch_folder& folder, int port) {
    return fmt::format(R"(
log = "warn"
[cluster]
id = "test"
[payments]
data = "{}"
ticket_ev = "100 gwei"
[[gateway]]
name = "gateway"
http = "127.0.0.1:{}"
orchestrators = ["orch-1", "orch-2"]
[[orchestrator]]
name = "orch-1"
listen = "127.0.0.1:{}"
price_per_unit = "400 gwei"
[[orchestrator]]
name = "orch-2"
listen = "127.0.0.1:{}"
price_per_unit = "400 gwei"
[[worker]]
name = "worker-1"
orchestrator = "orch-1"
[[worker]]
name = "worker-2"
orchestrator = "orch-2"
)",
                       folder.path().string(), port, port + 1, port + 2);
  }
  void start(const std::string& node) {
    const auto clock = clocks.find(node);
    processes.start(
        node, clock == clocks.end() ? std::vector<std::string>{} : clock->second.environment());
  }
  void start_all() {
    for (const char* node : {"orch-1", "orch-2", "worker-1", "worker-2", "gateway"}) start(node);
    ASSERT_TRUE(client.wait_ready(2));
  }
  void restart(const std::string& node) {
    processes.signal(node, SIGTERM);
    ASSERT_EQ(processes.wait(node), 0);
    start(node);
    ASSERT_TRUE(client.wait_ready(2));
  }
  // Every job is done, and both orchestrators take their part.
  void expect_service() {
    std::set<std::string> served;
    for (int i = 0; i < 6; ++i) {
      const auto answer = client.post("/noop", i % 3 == 2 ? R"({"fail": "bad_file"})" : "{}");
      if (i % 3 == 2) {
        EXPECT_EQ(answer.status, 500U) << answer.text;
        continue;
      }
      ASSERT_EQ(answer.status, 200U) << answer.text;
      served.insert(answer.route().at(1));
    }
    EXPECT_EQ(served.size(), 2U);
  }

  scratch_folder folder;
  int port = free_ports(3);
  std::map<std::string, host_clock> clocks{{"gateway", host_clock(folder.path() / "gateway.clock")},
                                           {"orch-1", host_clock(folder.path() / "orch-1.clock")},
                                           {"orch-2", host_clock(folder.path() / "orch-2.clock")}};
  process_cluster processes{text(folder, port)};
  gateway_client client{static_cast<std::uint16_t>(port)};
};

TEST_F(clock_cluster, serves_while_clocks_differ) {
  clocks.at("orch-1").set(400);
  clocks.at("orch-2").set(-7200);
  start_all();
  expect_service();
}

TEST_F(clock_cluster, serves_while_clocks_are_set_and_after_each_restart) {
  start_all();
  expect_service();
  for (auto& [node, clock] : clocks) clock.set(3600);
  expect_service();
  restart("orch-1");
  restart("gateway");
  expect_service();
  for (auto& [node, clock] : clocks) clock.set(0);
  expect_service();
  restart("orch-1");
  restart("orch-2");
  expect_service();
  restart("gateway");
  expect_service();
  for (const char* node : {"gateway", "orch-1", "orch-2"}) {
    processes.signal(node, SIGTERM);
    EXPECT_EQ(processes.wait(node), 0) << node;
    EXPECT_TRUE(look_into(folder, node)->audit(true).value().ok()) << node;
  }
}

}  // namespace
}  // namespace lp::testing
