// SPDX-License-Identifier: MIT
#include "tools/lp-job/submit.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>

#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json/parse.hpp>

#include "net/http_server.hpp"
#include "net/router.hpp"

namespace lp::job {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using testing::HasSubstr;

TEST(parse_url, takes_host_port_and_path) {
  const auto check = [](const char* url, const char* host, int port, const char* path) {
    const auto got = parse_url(url);
    ASSERT_TRUE(got) << url;
    EXPECT_EQ(got->host, host);
    EXPECT_EQ(got->port, port);
    EXPECT_EQ(got->path, path);
  };
  check("http://127.0.0.1:8935", "127.0.0.1", 8935, "");
  check("http://example.org", "example.org", 80, "");
  check("http://example.org/api/", "example.org", 80, "/api");
  check("http://[::1]:81/x", "::1", 81, "/x");
  check("http://[::1]", "::1", 80, "");
  EXPECT_EQ(parse_url("http://[::1]:81")->origin(), "http://[::1]:81");
  for (const char* url : {"", "127.0.0.1:1", "https://x", "http://", "http://:80", "http://x:",
                          "http://x:0", "http://x:65536", "http://x:8a", "http://u@x"}) {
    EXPECT_FALSE(parse_url(url)) << url;
  }
}

// A gateway that keeps what it was asked and answers what it is told to.
class gateway : public testing::Test {
 protected:
  void SetUp() override {
    net::router routes;
    routes.add("POST", "/text-to-image", [this](net::request&& r, net::responder reply) {
      const std::lock_guard lock(mutex_);
      seen_ = std::move(r);
      reply.send(net::json_response(status_, answer_));
    });
    routes.add("GET", "/media/a.png", [](net::request&&, net::responder reply) {
      reply.send(net::text_response(200, "the bytes"));
    });
    routes.add("GET", "/health", [this](net::request&&, net::responder reply) {
      const std::lock_guard lock(mutex_);
      reply.send(net::json_response(
          200, ++asked_ < 3 ? R"({"status":"LOADING"})" : R"({"status":"OK","jobs":0})"));
    });
    auto started = net::http_server::start({}, routes);
    ASSERT_TRUE(started) << started.error().message;
    server_ = std::move(*started);
    address_ = *parse_url("http://127.0.0.1:" + std::to_string(server_->port()));
  }

  // Runs the program and returns what it wrote; `code` is its exit status.
  std::string run_program(const std::string& arguments, int& code) {
    const std::string command =
        LP_BINARY_DIR "/bin/lp-job --url " + address_.origin() + " " + arguments + " 2>&1";
    FILE* pipe = ::popen(command.c_str(), "r");
    std::string out;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) out += static_cast<char>(c);
    code = WEXITSTATUS(::pclose(pipe));
    return out;
  }

  const pipelines::description& text_to_image_ = *pipelines::find("text-to-image");
  std::mutex mutex_;
  net::request seen_;
  unsigned status_ = 200;
  int asked_ = 0;  // for its health
  std::string answer_ = R"({"images":[{"url":"/media/a.png","seed":7,"nsfw":false}],
    "job":{"id":"j","model":"m","route":["gateway","worker"],"stages":[{"name":"text","ms":1}]}})";
  std::unique_ptr<net::http_server> server_;
  gateway_address address_;
};

const time_point soon = clock::now() + seconds(120);

TEST_F(gateway, gets_the_parameters_as_json) {
  const auto body =
      submit(address_, text_to_image_, {{{"prompt", "x"}, {"width", 64}}, {}}, "tok", soon);
  ASSERT_TRUE(body) << body.error().message;
  EXPECT_EQ(body->at("job").at("model"), "m");
  EXPECT_EQ(json::parse(seen_.body), (json::object{{"prompt", "x"}, {"width", 64}}));
  EXPECT_EQ(seen_.header_value("content-type"), "application/json");
  EXPECT_EQ(seen_.header_value("authorization"), "Bearer tok");
  EXPECT_EQ(*fetch(address_, "/media/a.png", soon), "the bytes");
  EXPECT_EQ(*fetch(address_, address_.origin() + "/media/a.png", soon), "the bytes");
  EXPECT_EQ(fetch(address_, "/media/b.png", soon).error().code, ec::not_found);
}

TEST_F(gateway, refusals_are_told_in_its_words) {
  status_ = 503;
  answer_ = R"({"detail":{"msg":"no node is left"}})";
  const auto body = submit(address_, text_to_image_, {}, "", soon);
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().code, ec::unavailable);
  EXPECT_THAT(body.error().message, HasSubstr("no node is left"));
}

TEST_F(gateway, is_asked_until_it_takes_jobs) {
  const auto report = health(address_, soon);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->at("jobs"), 0);
  EXPECT_EQ(asked_, 3);
  asked_ = -1000000;
  const auto never = health(address_, clock::now() + milliseconds(150));
  ASSERT_FALSE(never);
  EXPECT_EQ(never.error().code, ec::unavailable);
  EXPECT_THAT(never.error().message, HasSubstr("LOADING"));
}

TEST_F(gateway, the_program_saves_the_file_and_tells_the_story) {
  const fs::path file = fs::temp_directory_path() / ("lp_job_" + std::to_string(::getpid()));
  int code = -1;
  const auto out = run_program("text-to-image --prompt x --out " + file.string(), code);
  EXPECT_EQ(code, 0) << out;
  EXPECT_THAT(out, HasSubstr(file.string() + " (seed 7)"));
  EXPECT_THAT(out, HasSubstr("gateway -> worker"));
  EXPECT_THAT(out, HasSubstr("text 1.0 ms"));
  std::ifstream saved(file);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(saved), {}), "the bytes");
  fs::remove(file);
}

TEST_F(gateway, the_program_fails_with_the_reason) {
  int code = -1;
  EXPECT_THAT(run_program("text-to-image --prompt x --width 7", code), HasSubstr("width"));
  EXPECT_EQ(code, 1);
  server_->stop();
  EXPECT_THAT(run_program("text-to-image --prompt x", code), HasSubstr("unavailable"));
  EXPECT_EQ(code, 1);
}

}  // namespace
}  // namespace lp::job
