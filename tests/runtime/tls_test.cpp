// SPDX-License-Identifier: MIT
// Mutual TLS between the nodes of a cluster, with keys made for the test.
#include <gtest/gtest.h>

#include <fmt/core.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "tests/cluster.hpp"
#include "tests/tls_keys.hpp"

namespace lp::testing {
namespace {

std::string with(const std::string& tls, std::uint16_t first_port = 0) {
  std::string text = noop_cluster(0, "", "", first_port);
  text.insert(text.find("[[gateway]]"), tls);
  return text;
}

TEST(tls, jobs_run_between_nodes_that_share_an_authority) {
  const tls_keys ours;
  test_cluster cluster(with(ours.table()));
  const answer a = cluster.client().post("/noop", R"({"data":"sealed"})");
  ASSERT_EQ(a.status, 200U) << a.text;
  EXPECT_EQ(a.body.at("data").as_string(), "sealed");
}

TEST(tls, nodes_of_another_authority_and_without_any_are_refused) {
  const tls_keys ours;
  const tls_keys theirs;
  const std::uint16_t port = free_ports(2);
  test_cluster cluster(with(ours.table(), port));
  const auto gateway_with = [&](const std::string& tls) {
    std::string text = with(tls, port);
    text.replace(text.find("\"gateway\""), 9, "\"second\"");
    auto c = runtime::parse_config(text, "test.toml", ".");
    return std::move(*runtime::cluster::start(std::move(*c), "second"));
  };
  const auto client_of = [](runtime::cluster& c) {
    return gateway_client(c.find("second")->where().port);
  };
  const auto friendly = gateway_with(ours.table());
  const auto stranger = gateway_with(theirs.table());
  const auto naked = gateway_with("");
  // Once the friendly one is connected the others have had the same chance.
  ASSERT_TRUE(client_of(*friendly).wait_ready(2));
  EXPECT_FALSE(
      eventually([&] { return !client_of(*stranger).orchestrators().empty(); }, milliseconds(500)));
  EXPECT_TRUE(client_of(*naked).orchestrators().empty());
  const answer a = cluster.client().post("/noop", "{}");
  EXPECT_EQ(a.status, 200U) << a.text;
}

TEST(tls, handshakes_that_strangers_begin_and_never_end_hold_up_nobody) {
  const tls_keys ours;
  test_cluster cluster(with(ours.table()));
  const gateway_client client = cluster.client();
  // More than a node lets begin at one time; the first bytes of a greeting, and no more.
  boost::asio::io_context io;
  std::vector<boost::asio::ip::tcp::socket> strangers;
  for (int i = 0; i < 100; ++i) {
    for (const char* node : {"orch-1", "orch-2"}) {
      strangers.emplace_back(io);
      strangers.back().connect(
          {boost::asio::ip::address_v4::loopback(), cluster->find(node)->where().port});
      boost::asio::write(strangers.back(), boost::asio::buffer("\x16\x03\x01\x02\x00\x01", 6));
    }
    ASSERT_EQ(client.post("/noop", "{}").status, 200U) << i;
  }
  // A node of the cluster still gets in.
  cluster->kill("worker-1");
  cluster->kill("worker-2");
  ASSERT_TRUE(cluster->start_node("worker-1"));
  EXPECT_TRUE(eventually([&] { return client.post("/noop", "{}").status == 200; }));
  // And every stranger is sent away.
  for (auto& stranger : strangers) {
    char byte = 0;
    boost::system::error_code ec;
    boost::asio::read(stranger, boost::asio::buffer(&byte, 1), ec);
    EXPECT_TRUE(ec);
  }
}

}  // namespace
}  // namespace lp::testing
