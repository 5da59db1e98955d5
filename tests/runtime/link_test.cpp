// SPDX-License-Identifier: MIT
// Links that do not come up are told on both sides; links that broke come up again.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>

#include <fmt/core.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include "runtime/base/log_limit.hpp"
#include "tests/cluster.hpp"
#include "tests/tls_keys.hpp"

namespace lp::testing {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

/// What is written to standard error while this lives.
class records {
 public:
  records() {
    log::process_limiter().clear();
    std::string pattern = (std::filesystem::temp_directory_path() / "lp-log-XXXXXX").string();
    const int fd = ::mkstemp(pattern.data());
    path_ = pattern;
    before_ = ::dup(STDERR_FILENO);
    ::dup2(fd, STDERR_FILENO);
    ::close(fd);
  }
  ~records() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
    std::filesystem::remove(path_);
  }
  records(const records&) = delete;
  records& operator=(const records&) = delete;

  std::string all() const {
    std::ostringstream out;
    out << std::ifstream(path_).rdbuf();
    return out.str();
  }
  bool come_to_say(const std::string& text) const {
    return eventually([&] { return all().find(text) != std::string::npos; }, seconds(20));
  }

 private:
  std::filesystem::path path_;
  int before_ = -1;
};

std::unique_ptr<runtime::cluster> node_of(const std::string& toml, const std::string& name) {
  auto c = runtime::parse_config(toml, "test.toml", ".");
  if (!c) throw std::runtime_error(c.error().message);
  auto started = runtime::cluster::start(std::move(*c), name);
  if (!started) throw std::runtime_error(started.error().message);
  return std::move(*started);
}

std::string with(std::string text, const std::string& tls) {
  text.insert(text.find("[[gateway]]"), tls);
  return text;
}

#define EXPECT_SAID(log, text) EXPECT_TRUE((log).come_to_say(text)) << (log).all()

TEST(links, a_name_that_is_taken_is_refused_and_told_on_both_sides) {
  const std::string text = noop_cluster(0, "", "", free_ports(2));
  test_cluster cluster(text);
  const gateway_client client = cluster.client();
  const records log;
  const auto second = node_of(text, "worker-1");
  EXPECT_SAID(log, "worker-1: no link to orchestrator orch-1");
  EXPECT_SAID(log, "it refuses: the name worker-1 is taken by the worker at");
  EXPECT_SAID(log, "orch-1: worker worker-1 at");
  const answer a = client.post("/noop", "{}");
  EXPECT_EQ(a.status, 200U) << a.text;
  // When the first is gone the second takes its place.
  cluster->kill("worker-1");
  cluster->kill("worker-2");
  EXPECT_TRUE(eventually([&] { return client.post("/noop", "{}").status == 200; }));
}

TEST(links, another_cluster_is_told_on_both_sides) {
  const std::uint16_t port = free_ports(2);
  test_cluster cluster(noop_cluster(0, "", "", port));
  const records log;
  std::string text = noop_cluster(0, "", "", port);
  text.replace(text.find("\"test\""), 6, "\"other\"");
  const auto stranger = node_of(text, "worker-1");
  EXPECT_SAID(log, "it refuses: this is cluster test with protocol 1, not other");
  EXPECT_SAID(log, "orch-1: worker worker-1 at 127.0.0.1");
}

TEST(links, an_orchestrator_that_answers_for_another_is_told) {
  const std::uint16_t port = free_ports(1);
  const std::string orchestrator = R"(
[[orchestrator]]
name = "{}"
listen = "127.0.0.1:{}"
)";
  const auto one = node_of(fmt::format(fmt::runtime(orchestrator), "one", port), "one");
  const records log;
  const auto worker = node_of(fmt::format(fmt::runtime(orchestrator), "two", port) +
                                  "[[worker]]\nname = \"w\"\norchestrator = \"two\"\n",
                              "w");
  EXPECT_SAID(log, "w: no link to orchestrator two at");
  EXPECT_SAID(log, "one answers there: is the address right?");
}

TEST(links, a_wrong_port_is_told) {
  asio::io_context io;
  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  const std::string worker =
      fmt::format("[[worker]]\nname = \"w\"\norchestrator = \"127.0.0.1:{}\"\n",
                  acceptor.local_endpoint().port());
  const records log;
  const auto node = node_of(worker, "w");
  // Silent first, then a server of HTTP, then nobody.
  EXPECT_SAID(log, "the other side says nothing in time");
  std::atomic<bool> over = false;
  std::thread http([&] {
    while (!over) {
      tcp::socket s(io);
      boost::system::error_code ec;
      acceptor.accept(s, ec);
      const std::string text = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
      if (!ec) asio::write(s, asio::buffer(text), ec);
    }
  });
  EXPECT_SAID(log, "an HTTP server answers there");
  over = true;
  http.join();
  acceptor.close();
  EXPECT_SAID(log, "Connection refused: is it running, and is the port right?");
}

TEST(links, what_is_wrong_with_certificates_is_told_on_both_sides) {
  const tls_keys ours;
  const tls_keys theirs;
  const std::uint16_t port = free_ports(2);
  const std::string text = noop_cluster(0, "", "", port);
  test_cluster cluster(with(text, ours.table()));
  {
    const records log;
    const auto stranger = node_of(with(text, theirs.table()), "worker-1");
    EXPECT_SAID(log, "worker-1: no link to orchestrator orch-1");
    EXPECT_SAID(log, "its certificate is refused");
    EXPECT_SAID(log, "127.0.0.1 is refused at");
  }
  {
    const records log;
    const auto naked = node_of(text, "worker-1");
    EXPECT_SAID(log, "worker-1: no link to orchestrator orch-1");
    EXPECT_SAID(log, "it speaks no TLS");
    EXPECT_SAID(log, "does it speak TLS, and this node not");
  }
}

/// Carries bytes to a port and back, and damages one now and then while it is told to.
class damaging_proxy {
 public:
  explicit damaging_proxy(std::uint16_t to) : to_(to), acceptor_(io_, {loopback(), 0}) {
    accept();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~damaging_proxy() {
    io_.stop();
    thread_.join();
  }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

  std::atomic<bool> damages = false;
  std::atomic<int> damaged = 0;

 private:
  struct pipe {
    explicit pipe(asio::io_context& io) : near(io), far(io) {}
    tcp::socket near;
    tcp::socket far;
    std::array<char, 4096> there{};
    std::array<char, 4096> back{};
  };

  static asio::ip::address loopback() { return asio::ip::address_v4::loopback(); }

  void accept() {
    const auto p = std::make_shared<pipe>(io_);
    acceptor_.async_accept(p->near, [this, p](const boost::system::error_code& ec) {
      if (ec) return;
      boost::system::error_code failed;
      p->far.connect({loopback(), to_}, failed);
      if (!failed) {
        carry(p, p->near, p->far, p->there);
        carry(p, p->far, p->near, p->back);
      }
      accept();
    });
  }

  void carry(const std::shared_ptr<pipe>& p, tcp::socket& from, tcp::socket& to,
             std::array<char, 4096>& buffer) {
    from.async_read_some(
        asio::buffer(buffer),
        [=, this, &from, &to, &buffer](const boost::system::error_code& ec, std::size_t count) {
          boost::system::error_code failed = ec;
          if (!failed && damages && random_() % 3 == 0) {
            buffer[random_() % count] ^= static_cast<char>(1U << (random_() % 8));
            ++damaged;
          }
          if (!failed) asio::write(to, asio::buffer(buffer, count), failed);
          if (!failed) return carry(p, from, to, buffer);
          p->near.close(failed);
          p->far.close(failed);
        });
  }

  std::uint16_t to_;
  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::minstd_rand random_{7};
  std::thread thread_;
};

TEST(links, recover_from_damaged_frames) {
  const std::uint16_t port = free_ports(1);
  const auto orchestrator = node_of(
      fmt::format("[[orchestrator]]\nname = \"o\"\nlisten = \"127.0.0.1:{}\"\n", port), "o");
  damaging_proxy proxy(port);
  const std::string other = fmt::format(R"(
[[gateway]]
name = "g"
http = "127.0.0.1:0"
job_timeout = "1s"
orchestrators = ["127.0.0.1:{0}"]
[[worker]]
name = "w"
orchestrator = "127.0.0.1:{0}"
)",
                                        proxy.port());
  const auto worker = node_of(other, "w");
  const auto gateway = node_of(other, "g");
  const gateway_client client(gateway->find("g")->where().port);
  ASSERT_TRUE(client.wait_ready(1));
  proxy.damages = true;
  ASSERT_TRUE(eventually([&] {
    client.post("/noop", R"({"data":"some","file_bytes":300000})");
    return proxy.damaged > 10;
  }));
  proxy.damages = false;
  EXPECT_TRUE(eventually([&] { return client.post("/noop", "{}").status == 200; }));
}

}  // namespace
}  // namespace lp::testing
