// SPDX-License-Identifier: MIT
// What strangers may take of a server: connections and memory.
#include <atomic>
#include <fstream>
#include <vector>

#include <gmock/gmock.h>

#include "tests/net/fixture.hpp"

namespace lp::net::test {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view hold = "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n";

// Answers all but "/hold", which it keeps.
struct keeper {
  handler take() {
    return [this](request&& r, responder reply) {
      if (r.path != "/hold") return echo(std::move(r), std::move(reply));
      const std::lock_guard lock(mutex);
      held.push_back(std::move(reply));
      ++count;
    };
  }
  void wait_for(std::size_t number) const {
    for (const auto end = soon(); count < number && clock::now() < end;) std::this_thread::yield();
    ASSERT_EQ(count, number);
  }
  std::mutex mutex;
  std::vector<responder> held;
  std::atomic<std::size_t> count = 0;
};

unsigned status_of(http_client& c) {
  const auto r = c.get("/", soon());
  return r ? r->status : 0;
}

TEST(http_crowd, the_longest_idle_connection_gives_way) {
  http_options options;
  options.max_connections = 3;
  keeper k;
  running_server s(k.take(), options);
  auto busy = s.client();
  get(busy.write(hold, soon()));
  k.wait_for(1);
  auto idle = s.client();
  EXPECT_EQ(status_of(idle), 200U);
  auto later = s.client();
  EXPECT_EQ(status_of(later), 200U);
  auto fourth = s.client();
  EXPECT_EQ(status_of(fourth), 200U);
  EXPECT_TRUE(idle.closed_by_server(soon()));
  EXPECT_EQ(status_of(later), 200U) << "it was used after the other one";
  EXPECT_EQ(k.count, 1U);
}

TEST(http_crowd, a_thousand_that_say_nothing_keep_nobody_out) {
  http_options options;
  options.max_connections = 20;
  running_server s(echo, options);
  std::vector<http_client> silent;
  for (int i = 0; i < 200; ++i) silent.push_back(s.client());
  for (int i = 0; i < 50; ++i) {
    auto c = s.client();
    EXPECT_EQ(status_of(c), 200U);
  }
  EXPECT_LE(s.server->counters().connections, 21U);
}

TEST(http_crowd, heads_that_trickle_give_way_and_are_told) {
  http_options options;
  options.max_connections = 2;
  running_server s(echo, options);
  std::vector<http_client> slow;
  for (int i = 0; i < 2; ++i) {
    slow.push_back(s.client());
    get(slow.back().write("GET / HT", soon()));
  }
  for (int i = 0; i < 2; ++i) {
    auto c = s.client();
    EXPECT_EQ(status_of(c), 200U);
  }
}

TEST(http_crowd, where_all_are_busy_the_new_one_is_503) {
  http_options options;
  options.max_connections = 3;
  keeper k;
  running_server s(k.take(), options);
  std::vector<http_client> busy;
  for (std::size_t i = 0; i < 3; ++i) {
    busy.push_back(s.client());
    get(busy.back().write(hold, soon()));
    k.wait_for(i + 1);
  }
  // More than are told with all care, and none of them makes room for the next.
  std::vector<http_client> refused;
  for (int i = 0; i < 100; ++i) {
    refused.push_back(s.client());
    const auto r = get(refused.back().read_reply(soon()));
    EXPECT_EQ(r.status, 503U) << i;
    EXPECT_EQ(header_of(r, "Retry-After"), "1");
    EXPECT_THAT(r.body, HasSubstr("too many connections"));
  }
  k.held.clear();
  for (auto& c : busy) EXPECT_EQ(get(c.read_reply(soon())).status, 500U) << "served to the end";
  refused.clear();
  auto again = s.client();
  EXPECT_EQ(status_of(again), 200U);
}

TEST(http_crowd, one_address_has_its_own_limit) {
  http_options options;
  options.max_connections = 100;
  options.max_connections_per_address = 2;
  keeper k;
  running_server s(k.take(), options);
  std::vector<http_client> busy;
  for (std::size_t i = 0; i < 2; ++i) {
    busy.push_back(s.client());
    get(busy.back().write(hold, soon()));
    k.wait_for(i + 1);
  }
  auto third = s.client();
  const auto r = get(third.get("/", soon()));
  EXPECT_EQ(r.status, 503U);
  EXPECT_THAT(r.body, HasSubstr("from your address"));
}

http_options with_bodies(std::size_t limit) {
  http_options options;
  options.bodies_limit = limit;
  return options;
}

std::string post(std::size_t length) {
  return "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
}

TEST(http_bodies, take_no_more_than_their_share_together) {
  std::vector<shared_bytes> kept;
  running_server s(
      [&](request&& r, responder reply) {
        if (r.path == "/keep") kept.push_back(take_body(std::move(r)));
        reply.send(text_response(200, "taken"));
      },
      with_bodies(3'000'000));
  const std::string body(2'000'000, 'x');
  auto c = s.client();
  EXPECT_EQ(get(c.send("POST", "/keep", body, {}, soon())).status, 200U);
  // While somebody keeps it, it counts; small ones go on.
  const auto r = get(s.client().send("POST", "/", body, {}, soon()));
  EXPECT_EQ(r.status, 503U);
  EXPECT_EQ(header_of(r, "Retry-After"), "1");
  EXPECT_THAT(r.body, HasSubstr("bodies"));
  EXPECT_EQ(get(c.send("POST", "/", std::string(60'000, 'x'), {}, soon())).status, 200U);
  kept.clear();
  EXPECT_EQ(get(s.client().send("POST", "/", body, {}, soon())).status, 200U);
  EXPECT_EQ(get(s.client().send("POST", "/", body, {}, soon())).status, 200U);
}

TEST(http_bodies, that_come_in_chunks_count_as_they_come) {
  running_server s(echo, with_bodies(1'000'000));
  auto c = s.client();
  get(
      c.write("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
              "1e8480\r\n" +
                  std::string(1'500'000, 'x'),
              soon()));
  EXPECT_EQ(get(c.read_reply(soon())).status, 503U);
  EXPECT_EQ(get(s.client().send("POST", "/", std::string(900'000, 'x'), {}, soon())).status, 200U);
}

TEST(http_bodies, that_are_half_there_are_given_up_with_their_client) {
  running_server s(echo, with_bodies(3'000'000));
  {
    auto c = s.client();
    get(c.write(post(2'500'000) + std::string(2'400'000, 'x'), soon()));
  }
  unsigned status = 503;
  for (const auto end = soon(); status == 503 && clock::now() < end;) {
    status = get(s.client().send("POST", "/", std::string(2'500'000, 'x'), {}, soon())).status;
  }
  EXPECT_EQ(status, 200U);
}

TEST(http_head, decides_before_the_body_is_read) {
  http_options options;
  options.check_head = [](const request& head) -> std::optional<response> {
    if (!head.header_value("Authorization").empty()) return std::nullopt;
    return error_response({ec::unauthorized, "a token is missing", {}});
  };
  running_server s(echo, options);
  auto c = s.client();
  // Answered although nothing of the body was sent.
  get(c.write(post(10'000'000), soon()));
  const auto r = get(c.read_reply(soon()));
  EXPECT_EQ(r.status, 401U);
  EXPECT_EQ(header_of(r, "Connection"), "close");
  EXPECT_FALSE(header_of(r, "X-Request-Id").empty());

  // Who expects to be told gets the answer in place of the word to go on.
  auto careful = s.client();
  get(careful.write(
      "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", soon()));
  EXPECT_EQ(get(careful.read_reply(soon())).status, 401U);

  // A short body costs nothing, and the connection stays.
  auto stays = s.client();
  EXPECT_EQ(get(stays.send("POST", "/", "{}", {}, soon())).status, 401U);
  EXPECT_EQ(get(stays.get("/", soon())).status, 401U);
  EXPECT_EQ(get(stays.send("POST", "/", "{}", {{"Authorization", "x"}}, soon())).status, 200U);

  // Who sends all the same can still read the answer.
  auto sends = s.client();
  EXPECT_EQ(get(sends.send("POST", "/", std::string(15'000'000, 'x'), {}, soon())).status, 401U);
}

TEST(http_head, bodies_that_mean_nothing_are_short) {
  running_server s(echo);
  EXPECT_EQ(get(s.client().send("GET", "/", std::string(100'000, 'x'), {}, soon())).status, 413U);
  EXPECT_EQ(get(s.client().send("GET", "/", "x", {}, soon())).status, 200U);
}

// Of this process, in bytes.
std::size_t resident() {
  std::size_t all = 0;
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> all >> pages;
  return pages * 4096;
}

TEST(http_bodies, give_their_memory_back) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer keeps freed memory";
#endif
  running_server s([](request&& r, responder reply) {
    const std::string size = std::to_string(r.body.size());
    reply.send(text_response(200, size));
  });
  const std::size_t before = resident();
  {
    const std::string body(15'000'000, 'x');
    std::vector<http_client> clients;
    for (int i = 0; i < 12; ++i) clients.push_back(s.client());
    std::string head = post(body.size());
    for (auto& c : clients) get(c.write(head + body.substr(0, 14'000'000), soon()));
    for (auto& c : clients) get(c.write(body.substr(14'000'000), soon()));
    for (auto& c : clients) EXPECT_EQ(get(c.read_reply(soon())).status, 200U);
  }
  bool small = false;
  for (const auto end = soon(); !small && clock::now() < end;) {
    small = resident() < before + 30'000'000;
    std::this_thread::yield();
  }
  EXPECT_TRUE(small) << resident() << " bytes, before " << before;
}

}  // namespace
}  // namespace lp::net::test
