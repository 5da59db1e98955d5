// SPDX-License-Identifier: MIT
// Peers that mean harm, against the real program: whatever they send, nobody ends.
#include <csignal>
#include <future>
#include <random>

#include <gtest/gtest.h>

#include <fmt/core.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include "tests/basp.hpp"
#include "tests/cluster.hpp"
#include "tests/tls_keys.hpp"

namespace lp::testing {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// The frame that ended a node: a handshake without a body.
const std::string short_frame = std::string(1, '\x01') + std::string(31, '\0');

std::vector<std::string> harmful() {
  const std::string peer = basp::node('p');
  const std::string greeting = basp::client_handshake(peer) + basp::client_handshake(peer, 2);
  const auto after = [&](const basp::head& h, const std::string& body) {
    return greeting + basp::frame(h, body);
  };
  std::vector<std::string> out{short_frame, std::string(32, '\0'),
                               basp::frame_of_length({1, 0, 0, 0, 0}, 0xffffffff),
                               basp::frame({0, 0, 3, 0, 0}, ""), basp::server_handshake(peer)};
  for (std::uint64_t actor = 1; actor < 12; ++actor) {
    const basp::head to{2, 0, basp::async_message, 7, actor};
    out.push_back(after(to, ""));
    // A link to an actor that is none of the sender's, for which CAF takes it.
    out.push_back(after(to, basp::message("@<>+@atom+@strong_actor_ptr",
                                          basp::number(0x33b6bcdb) + basp::number(actor) + peer)));
    out.push_back(after(to, basp::message("@<>+@exit_msg", std::string(64, '\0'))));
    out.push_back(after(to, basp::message("@<>+@str", "\xff\xff\xff\xff\x0f")));
    out.push_back(after({2, 0, 3ULL << 60U, 7, actor}, basp::message("@<>+@str", basp::text("x"))));
  }
  return out;
}

/// Sends the bytes and waits for the end of the connection; false if it does not come.
template <class Stream>
bool is_sent_away(Stream& stream, const std::string& bytes) {
  boost::system::error_code ec;
  asio::write(stream, asio::buffer(bytes), ec);
  std::string answer;
  asio::read(stream, asio::dynamic_buffer(answer), ec);
  return static_cast<bool>(ec);
}

struct processes {
  explicit processes(const std::string& tls = {}) {
    std::string text = noop_cluster(port, "", "", port + 1);
    text.insert(text.find("[[gateway]]"), tls);
    cluster = std::make_unique<process_cluster>(text);
    for (const char* node : names) cluster->start(node);
    if (!client.wait_ready(2)) throw std::runtime_error("the processes do not come up");
  }
  tcp::endpoint orchestrator() const {
    return {asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(port + 1)};
  }
  /// Jobs run, and every process ends as it should.
  void expect_alive() {
    EXPECT_EQ(client.post("/noop", "{}").status, 200U);
    for (const char* node : {"gateway", "worker-1", "worker-2", "orch-1", "orch-2"}) {
      cluster->signal(node, SIGTERM);
      EXPECT_EQ(cluster->wait(node), 0) << node;
    }
  }

  static constexpr const char* names[] = {"orch-1", "orch-2", "worker-1", "worker-2", "gateway"};
  std::uint16_t port = free_ports(3);
  std::unique_ptr<process_cluster> cluster;
  gateway_client client{port};
};

TEST(hostile_peers, no_frame_ends_a_listening_node) {
  processes p;
  asio::io_context io;
  for (const std::string& bytes : harmful()) {
    tcp::socket stranger(io);
    stranger.connect(p.orchestrator());
    EXPECT_TRUE(is_sent_away(stranger, bytes));
  }
  p.expect_alive();
}

TEST(hostile_peers, no_member_ends_another_over_tls) {
  const tls_keys keys;
  processes p(keys.table());
  asio::ssl::context context(asio::ssl::context::tls_client);
  context.use_certificate_chain_file(keys.folder() + "/node.pem");
  context.use_private_key_file(keys.folder() + "/node.key", asio::ssl::context::pem);
  asio::io_context io;
  for (const std::string& bytes : harmful()) {
    asio::ssl::stream<tcp::socket> member(io, context);
    member.lowest_layer().connect(p.orchestrator());
    member.handshake(asio::ssl::stream_base::client);
    EXPECT_TRUE(is_sent_away(member, bytes));
  }
  p.expect_alive();
}

TEST(hostile_peers, no_answer_ends_a_node_that_dials) {
  asio::io_context io;
  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  const std::uint16_t port = free_ports(1);
  process_cluster cluster(fmt::format(R"(
log = "error"
[[gateway]]
name = "gateway"
http = "127.0.0.1:{0}"
orchestrators = ["127.0.0.1:{1}"]
[[worker]]
name = "worker"
orchestrator = "127.0.0.1:{1}"
)",
                                      port, acceptor.local_endpoint().port()));
  cluster.start("gateway");
  cluster.start("worker");
  const std::string peer = basp::node('p');
  const std::string answers[] = {
      std::string(32, '\0'),
      short_frame,
      basp::frame({0, 0, 3, 0, 0}, ""),
      basp::frame_of_length({0, 0, 3, 0, 0}, 0xffffffff),
      basp::server_handshake(peer) + basp::frame({2, 0, basp::async_message, 7, 8}, ""),
      basp::server_handshake(peer) +
          basp::frame({2, 0, basp::async_message, 7, 1}, basp::message("@<>+@exit_msg", ""))};
  for (int round = 0; round < 3; ++round) {
    for (const std::string& answer : answers) {
      tcp::socket victim(io);
      acceptor.accept(victim);
      EXPECT_TRUE(is_sent_away(victim, answer));
    }
  }
  for (const char* node : {"gateway", "worker"}) {
    cluster.signal(node, SIGTERM);
    EXPECT_EQ(cluster.wait(node), 0) << node;
  }
}

}  // namespace
}  // namespace lp::testing
