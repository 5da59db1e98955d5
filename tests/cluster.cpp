// SPDX-License-Identifier: MIT
#include "tests/cluster.hpp"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/core.h>

#include <boost/json/parse.hpp>
#include "runtime/base/log.hpp"

namespace lp::testing {

bool eventually(const std::function<bool()>& condition, duration limit) {
  const time_point deadline = clock::now() + limit;
  while (!condition()) {
    if (clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

namespace {

bool is_free(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  a.sin_port = htons(static_cast<std::uint16_t>(port));
  const bool ok = ::bind(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0;
  ::close(fd);
  return ok;
}

}  // namespace

std::uint16_t free_ports(int count) {
  // Below the range that the system takes ports of connections from: nobody gets these by chance.
  std::random_device entropy;
  std::uniform_int_distribution<int> base(10'000, 30'000);
  for (;;) {
    const int first = base(entropy);
    bool free = true;
    for (int i = 0; i < count; ++i) free = free && is_free(first + i);
    if (free) return static_cast<std::uint16_t>(first);
  }
}

std::vector<std::string> answer::route() const {
  std::vector<std::string> out;
  for (const auto& hop : body.at("job").at("route").as_array()) out.emplace_back(hop.as_string());
  return out;
}

net::http_client gateway_client::connect() const {
  auto c = net::http_client::connect("127.0.0.1", port_, clock::now() + patience);
  if (!c) throw std::runtime_error(render(c.error()));
  return std::move(*c);
}

namespace {

answer to_answer(const result<net::http_reply>& reply) {
  if (!reply) throw std::runtime_error(render(reply.error()));
  answer out;
  out.status = reply->status;
  out.text = reply->body;
  boost::system::error_code bad;
  out.body = boost::json::parse(reply->body, bad);
  return out;
}

}  // namespace

answer gateway_client::post(const std::string& target, const std::string& json) const {
  return to_answer(connect().post_json(target, json, clock::now() + patience));
}

answer gateway_client::post_form(const std::string& target, net::form_writer form) const {
  const std::string type = form.content_type();
  const std::string body = std::move(form).finish();
  return to_answer(
      connect().send("POST", target, body, {{"Content-Type", type}}, clock::now() + patience));
}

answer gateway_client::get(const std::string& target) const {
  return to_answer(connect().get(target, clock::now() + patience));
}

boost::json::value gateway_client::health() const {
  return get("/health").body;
}

boost::json::array gateway_client::orchestrators() const {
  return health().at("orchestrators").as_array();
}

bool gateway_client::wait_ready(std::size_t orchestrators) const {
  return eventually([&] {
    auto c = net::http_client::connect("127.0.0.1", port_, clock::now() + seconds(1));
    if (!c) return false;
    const auto reply = c->get("/health", clock::now() + patience);
    if (!reply) return false;
    const auto body = boost::json::parse(reply->body);
    std::size_t ready = 0;
    for (const auto& o : body.at("orchestrators").as_array()) {
      ready += o.at("models").as_array().empty() ? 0 : 1;
    }
    return ready == orchestrators;
  });
}

test_cluster::test_cluster(const std::string& toml) {
  auto c = runtime::parse_config(toml, "test.toml", LP_SOURCE_DIR);
  if (!c) throw std::runtime_error(c.error().message);
  log::set_level(c->log);
  auto started = runtime::cluster::start(std::move(*c));
  if (!started) throw std::runtime_error(started.error().message);
  cluster_ = std::move(*started);
}

gateway_client test_cluster::client() {
  const auto& c = cluster_->configuration();
  gateway_client client(cluster_->find(c.gateways.front().name)->where().port);
  if (!client.wait_ready(c.orchestrators.size())) throw std::runtime_error("the cluster is not up");
  return client;
}

process_cluster::process_cluster(const std::string& toml) {
  std::string pattern = (std::filesystem::temp_directory_path() / "lp-test-XXXXXX").string();
  folder_ = ::mkdtemp(pattern.data());
  std::ofstream(folder_ + "/cluster.toml") << toml;
}

process_cluster::~process_cluster() {
  for (const auto& [node, pid] : pids_) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  std::filesystem::remove_all(folder_);
}

void process_cluster::start(const std::string& node, const std::vector<std::string>& environment) {
  const std::string program = LP_BINARY_DIR "/bin/lp-runtime";
  const std::string file = folder_ + "/cluster.toml";
  const pid_t pid = ::fork();
  if (pid == 0) {
    for (const std::string& e : environment) ::putenv(const_cast<char*>(e.c_str()));
    ::execl(program.c_str(), program.c_str(), "--config", file.c_str(), "--node", node.c_str(),
            nullptr);
    ::_exit(127);
  }
  pids_[node] = pid;
}

void process_cluster::signal(const std::string& node, int number) {
  ::kill(pids_.at(node), number);
}

int process_cluster::wait(const std::string& node, duration limit) {
  const pid_t pid = pids_.at(node);
  int status = 0;
  if (!eventually([&] { return ::waitpid(pid, &status, WNOHANG) == pid; }, limit)) return -1;
  pids_.erase(node);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string noop_cluster(std::uint16_t gateway_port, const std::string& worker_extra,
                         const std::string& gateway_extra, std::uint16_t first_port) {
  const auto port = [&](int n) { return first_port == 0 ? 0 : first_port + n; };
  return fmt::format(R"(
log = "warn"
[cluster]
id = "test"
[[gateway]]
name = "gateway"
http = "127.0.0.1:{}"
orchestrators = ["orch-1", "orch-2"]
{}
[[orchestrator]]
name = "orch-1"
listen = "127.0.0.1:{}"
[[orchestrator]]
name = "orch-2"
listen = "127.0.0.1:{}"
[[worker]]
name = "worker-1"
orchestrator = "orch-1"
{}
[[worker]]
name = "worker-2"
orchestrator = "orch-2"
{}
)",
                     gateway_port, gateway_extra, port(0), port(1), worker_extra, worker_extra);
}

}  // namespace lp::testing
