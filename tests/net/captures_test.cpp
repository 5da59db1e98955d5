// SPDX-License-Identifier: MIT
// Requests as real clients write them.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <boost/json/value.hpp>

#include "net/json_body.hpp"
#include "tests/net/fixture.hpp"

namespace lp::net::test {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<fs::path> captures(const fs::path& folder) {
  std::vector<fs::path> out;
  if (!fs::exists(folder)) return out;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".http") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

void check_request(const request& r, const std::string& raw) {
  EXPECT_EQ(raw.substr(0, raw.find(" HTTP/")), r.method + " " + r.target);
  const std::string_view type = r.header_value("Content-Type");
  if (r.header_value("Transfer-Encoding").empty()) {
    EXPECT_EQ(r.body, raw.substr(raw.find("\r\n\r\n") + 4));
  } else if (type.starts_with("multipart/")) {
    const std::string boundary = "--" + std::string(type.substr(type.find("boundary=") + 9));
    EXPECT_TRUE(r.body.starts_with(boundary + "\r\n"));
    EXPECT_NE(r.body.rfind(boundary + "--"), std::string::npos);
  }
  if (r.method == "POST" && type.starts_with("application/json")) {
    const auto body = parse_json_body(r);
    ASSERT_TRUE(body) << render(body.error());
    EXPECT_TRUE(body->is_object());
  }
}

void serve(const std::vector<fs::path>& files) {
  std::mutex mutex;
  std::vector<request> got;
  running_server s([&](request&& r, responder reply) {
    const std::lock_guard lock(mutex);
    got.push_back(std::move(r));
    reply.send(json_response(200, "{}"));
  });
  for (const fs::path& file : files) {
    SCOPED_TRACE(file.filename().string());
    const std::string raw = read_file(file);
    auto c = s.client();
    get(c.write(raw, soon()));
    ASSERT_EQ(get(c.read_reply(soon())).status, 200U);
    const std::lock_guard lock(mutex);
    check_request(got.back(), raw);
  }
  EXPECT_EQ(got.size(), files.size());
}

TEST(captures, ours_are_taken) {
  const auto files = captures(fs::path(LP_SOURCE_DIR) / "tests/data/http");
  ASSERT_EQ(files.size(), 4U);
  serve(files);
}

TEST(captures, those_of_real_clients_are_taken) {
  const auto files = captures(fs::path(LP_SOURCE_DIR) / "../shared/reference/clients");
  if (files.empty()) GTEST_SKIP() << "../shared is absent";
  EXPECT_GE(files.size(), 10U);
  serve(files);
}

}  // namespace
}  // namespace lp::net::test
