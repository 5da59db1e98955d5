// SPDX-License-Identifier: MIT
// --check finds what starting would find.
#include "runtime/preflight.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "runtime/base/bytes.hpp"
#include "tests/cluster.hpp"

namespace lp::runtime {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class preflight : public ::testing::Test {
 protected:
  preflight() { fs::create_directories(folder_); }
  ~preflight() override { fs::remove_all(folder_); }

  void sh(const std::string& command) const {
    const std::string line = fmt::format("cd {} && {} >/dev/null 2>&1", folder_.string(), command);
    ASSERT_EQ(std::system(line.c_str()), 0) << command;
  }
  config parse(const std::string& text) const {
    auto c = parse_config(text, "f.toml", folder_);
    EXPECT_TRUE(c) << c.error().message;
    return c ? std::move(*c) : config{};
  }
  std::vector<std::string> mistakes(const std::string& text, const std::string& only = {}) const {
    return look_ahead(parse(text), only).mistakes;
  }

  const fs::path folder_ = fs::temp_directory_path() / ("lp_preflight_" + random_hex(8));
};

const std::string pair = R"([[orchestrator]]
name = "o"
listen = "127.0.0.1:0"
[[worker]]
name = "w"
orchestrator = "o"
)";

TEST_F(preflight, finds_nothing_wrong_with_what_starts) {
  EXPECT_THAT(mistakes(pair), IsEmpty());
  EXPECT_THAT(mistakes(testing::noop_cluster()), IsEmpty());
}

TEST_F(preflight, threads_are_bounded_by_cores) {
  const std::string text = pair + "device = \"cpu:999\"\n";
  const auto found = mistakes(text);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0], HasSubstr("f.toml:7: [[worker]] device: cpu:999: this host has"));
  const auto started = cluster::start(parse(text));
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().message, found[0]);
  const auto all = fmt::format("device = \"cpu:{}\"\n", std::thread::hardware_concurrency());
  EXPECT_THAT(mistakes(pair + all), IsEmpty());
}

TEST_F(preflight, names_addresses_that_are_not_this_hosts) {
  const auto found = mistakes(
      "[[gateway]]\nname = \"g\"\nhttp = \"192.0.2.1:80\"\norchestrators = "
      "[\"127.0.0.1:1\"]");
  EXPECT_THAT(found,
              ElementsAre(HasSubstr("f.toml:3: [[gateway]] http: cannot listen on 192.0.2.1:80")));
  EXPECT_THAT(
      mistakes("[[gateway]]\nname = \"g\"\nhttp = \"no.such.host.invalid:80\"\norchestrators = "
               "[\"127.0.0.1:1\"]"),
      ElementsAre(HasSubstr("no.such.host.invalid:80")));
}

TEST_F(preflight, a_listener_that_another_process_names_needs_a_port) {
  for (const std::string only : {"o", "w"}) {
    EXPECT_THAT(mistakes(pair, only),
                ElementsAre(HasSubstr("f.toml:3: [[orchestrator]] listen: port 0")));
    EXPECT_FALSE(cluster::start(parse(pair), only));
  }
}

TEST_F(preflight, names_safety_checkers_and_devices_that_are_not_there) {
  EXPECT_THAT(mistakes(pair + "safety = \"nowhere\"\n"),
              ElementsAre(HasSubstr("f.toml:7: [[worker]] safety: ")));
  const std::string models = fmt::format("[models]\ndir = \"{}/examples/models\"\n", LP_SOURCE_DIR);
  EXPECT_THAT(mistakes(models + pair + "device = \"cuda:63\"\n"),
              ElementsAre(HasSubstr("f.toml:9: [[worker]] device: ")));
}

TEST_F(preflight, names_folders_that_cannot_be_written) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  fs::create_directory(folder_ / "models");
  fs::permissions(folder_ / "models", fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_THAT(mistakes("[models]\ndir = \"models\"\npull = [\"hf://a/b\"]\n" + pair, "o"),
              ::testing::Contains(HasSubstr("f.toml:2: [models] dir: ")));
}

TEST_F(preflight, names_certificates_that_others_refuse) {
  const std::string key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
  for (const std::string ca : {"ca", "other"}) {
    sh(fmt::format("openssl req -x509 {1} -days 2 -subj /CN={0} -keyout {0}.key -out {0}.pem", ca,
                   key));
  }
  sh(fmt::format("openssl req {} -subj /CN=node -keyout node.key -out node.csr", key));
  sh("openssl x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out "
     "node.pem");
  sh("openssl x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days -1 -out "
     "old.pem");
  const auto with = [&](const std::string& certificate, const std::string& private_key,
                        const std::string& authority) {
    return mistakes(fmt::format("[cluster.tls]\ncertificate = \"{}\"\nkey = \"{}\"\nauthority = "
                                "\"{}\"\n",
                                certificate, private_key, authority) +
                    pair);
  };
  EXPECT_THAT(with("node.pem", "node.key", "ca.pem"), IsEmpty());
  EXPECT_THAT(with("old.pem", "node.key", "ca.pem"),
              ElementsAre(::testing::AllOf(HasSubstr("f.toml:2: [cluster.tls] certificate: "),
                                           HasSubstr("old.pem"), HasSubstr("it expired on 2"))));
  EXPECT_THAT(with("node.pem", "ca.key", "ca.pem"),
              ElementsAre(HasSubstr("f.toml:1: [cluster.tls]: cannot use the private key")));
  EXPECT_THAT(with("node.pem", "node.key", "other.pem"),
              ElementsAre(HasSubstr("f.toml:2: [cluster.tls] certificate: other nodes refuse")));
}

TEST_F(preflight, names_a_chain_that_does_not_answer) {
  const std::string text =
      "[payments]\nchain = \"rpc\"\nendpoints = [\"http://127.0.0.1:1\"]\n"
      "controller = \"0x0000000000000000000000000000000000000001\"\n";
  EXPECT_THAT(mistakes(text + pair, "w"), ::testing::Not(::testing::Contains(HasSubstr("chain"))))
      << "workers have no money";
}

}  // namespace
}  // namespace lp::runtime
