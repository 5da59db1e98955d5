// SPDX-License-Identifier: MIT
// The client over TLS, against OpenSSL's own server with certificates made for the test.
#include <filesystem>
#include <fstream>

#include <arpa/inet.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <gtest/gtest.h>

#include <fmt/core.h>

#include "tests/net/fixture.hpp"

namespace lp::net {
namespace {

using test::get;
using test::soon;

/// "openssl s_server -www" with a certificate for `name`; answers every GET with a page.
class tls_server {
 public:
  explicit tls_server(const std::string& name) {
    std::string pattern = (std::filesystem::temp_directory_path() / "lp-tls-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        "-subj /CN=server -addext subjectAltName=" +
        name + " -keyout key.pem -out cert.pem");
    int out[2];
    if (::pipe(out) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(out[1], STDOUT_FILENO);
      ::close(out[0]);
      if (::chdir(folder_.c_str()) != 0) ::_exit(126);
      ::execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem",
               "-key", "key.pem", "-www", "-naccept", "20", nullptr);
      ::_exit(127);
    }
    ::close(out[1]);
    port_ = read_port(out[0]);
    out_ = out[0];
  }
  ~tls_server() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(out_);
    std::filesystem::remove_all(folder_);
  }
  tls_server(const tls_server&) = delete;
  tls_server& operator=(const tls_server&) = delete;

  std::uint16_t port() const { return port_; }
  std::string certificate() const { return folder_ + "/cert.pem"; }

 private:
  void run(const std::string& command) const {
    const std::string line = fmt::format("cd {} && {} >/dev/null 2>&1", folder_, command);
    if (std::system(line.c_str()) != 0) throw std::runtime_error(command);
  }

  // "ACCEPT 127.0.0.1:43210" on a line.
  static std::uint16_t read_port(int fd) {
    std::string text;
    char c = 0;
    while (::read(fd, &c, 1) == 1) {
      text += c;
      if (c != '\n') continue;
      const auto colon = text.rfind(':');
      if (text.starts_with("ACCEPT") && colon != std::string::npos) {
        return static_cast<std::uint16_t>(std::stoi(text.substr(colon + 1)));
      }
      text.clear();
    }
    throw std::runtime_error("openssl s_server did not start");
  }

  std::string folder_;
  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
  int out_ = -1;
};

TEST(tls_client, reads_an_answer_from_a_server_it_trusts) {
  const tls_server server("IP:127.0.0.1");
  auto client =
      get(http_client::connect_tls("127.0.0.1", server.port(), {server.certificate()}, soon()));
  const auto reply = get(client.get("/", soon()));
  EXPECT_EQ(reply.status, 200U);
  EXPECT_NE(reply.body.find("TLSv1.3"), std::string::npos);
}

TEST(tls_client, refuses_a_certificate_nobody_vouches_for) {
  const tls_server server("IP:127.0.0.1");
  const auto client = http_client::connect_tls("127.0.0.1", server.port(), {}, soon());
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, ec::unavailable);
  EXPECT_NE(client.error().message.find("certificate"), std::string::npos)
      << client.error().message;
}

TEST(tls_client, refuses_a_certificate_of_another_host) {
  const tls_server server("DNS:elsewhere.example");
  const auto client =
      http_client::connect_tls("127.0.0.1", server.port(), {server.certificate()}, soon());
  ASSERT_FALSE(client);
  EXPECT_NE(client.error().message.find("mismatch"), std::string::npos) << client.error().message;
}

TEST(tls_client, names_an_authority_that_cannot_be_read) {
  const tls_server server("IP:127.0.0.1");
  const auto client =
      http_client::connect_tls("127.0.0.1", server.port(), {"/nowhere.pem"}, soon());
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, ec::bad_config);
  EXPECT_NE(client.error().message.find("/nowhere.pem"), std::string::npos);
}

TEST(tls_client, a_server_without_tls_is_an_error) {
  const test::running_server server(test::echo);
  const auto client = http_client::connect_tls("127.0.0.1", server.server->port(), {}, soon());
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, ec::unavailable);
}

}  // namespace
}  // namespace lp::net
