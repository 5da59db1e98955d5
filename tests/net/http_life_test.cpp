// SPDX-License-Identifier: MIT
// Clients that leave, that are slow or too many, and servers that stop.
#include <atomic>
#include <thread>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/net/fixture.hpp"

namespace lp::net::test {
namespace {

using ::testing::HasSubstr;

// Keeps the responders of all requests for the test to answer.
struct holder {
  handler take() {
    return [this](request&& r, responder reply) {
      if (r.path == "*") return echo(std::move(r), std::move(reply));
      reply.on_disconnect([this, path = r.path] { gone.put(path); });
      held.put(std::move(reply));
    };
  }
  slot<responder> held;
  slot<std::string> gone;
};

TEST(http_disconnect, is_told_while_the_handler_works) {
  holder h;
  running_server s(h.take());
  {
    auto c = s.client();
    get(c.write("GET /leaver HTTP/1.1\r\nHost: h\r\n\r\n", soon()));
    ASSERT_TRUE(h.held.wait());
    EXPECT_TRUE(h.held.wait()->connected());
  }
  EXPECT_EQ(h.gone.wait(), "/leaver");
  const auto reply = *h.held.wait();
  EXPECT_FALSE(reply.connected());
  slot<bool> late;
  reply.on_disconnect([&] { late.put(true); });
  EXPECT_EQ(late.wait(), true);
  EXPECT_FALSE(reply.send(text_response(200, "too late")));
}

TEST(http_disconnect, is_told_behind_a_pipelined_request) {
  holder h;
  running_server s(h.take());
  {
    auto c = s.client();
    get(c.write("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n", soon()));
    ASSERT_TRUE(h.held.wait());
  }
  EXPECT_EQ(h.gone.wait(), "/1");
}

TEST(http_disconnect, is_not_told_for_pipelined_requests_or_after_the_answer) {
  std::atomic<int> gone = 0;
  std::atomic<int> served = 0;
  slot<bool> second_arrived;
  slot<responder> first;
  running_server s([&](request&& r, responder reply) {
    reply.on_disconnect([&] { ++gone; });
    ++served;
    if (r.path == "/1") return first.put(std::move(reply));
    echo(std::move(r), reply);
  });
  {
    auto c = s.client();
    get(c.write("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n", soon()));
    ASSERT_TRUE(first.wait());
    get(c.write("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n", soon()));
    // The server has looked at the second request once it answers on another connection.
    EXPECT_EQ(get(s.client().get("/3", soon())).status, 200U);
    EXPECT_EQ(gone, 0);
    first.wait()->send(text_response(200, "one"));
    EXPECT_EQ(get(c.read_reply(soon())).body, "one");
    EXPECT_EQ(get(c.read_reply(soon())).body, "GET /2\n");
  }
  EXPECT_TRUE(s.server->drain(soon()));
  EXPECT_EQ(gone, 0);
  EXPECT_EQ(served, 3);
}

// A client that sends all it has, closes its sending half and reads.
class half_closed {
 public:
  half_closed(std::uint16_t port, std::string_view text) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    EXPECT_EQ(::send(fd_, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    ::shutdown(fd_, SHUT_WR);
  }
  ~half_closed() { ::close(fd_); }
  half_closed(const half_closed&) = delete;
  half_closed& operator=(const half_closed&) = delete;

  /// At most `count` bytes, until the end.
  std::string read(std::size_t count) const {
    std::string out;
    for (char c = 0; out.size() < count && ::recv(fd_, &c, 1, 0) == 1;) out.push_back(c);
    return out;
  }

 private:
  int fd_;
};

TEST(http_disconnect, closing_the_sending_half_is_not_leaving) {
  for (const char* version : {"HTTP/1.1", "HTTP/1.0"}) {
    holder h;
    running_server s(h.take());
    const half_closed c(s.server->port(), fmt::format("GET /1 {}\r\nHost: h\r\n\r\n", version));
    // By what the server sends first it finds out whether anybody is there.
    EXPECT_EQ(c.read(2), "HT");
    ASSERT_TRUE(h.held.wait()->connected());
    h.held.wait()->send(text_response(200, "drawn"));
    const std::string rest = c.read(10'000);
    EXPECT_TRUE(rest.starts_with("TP/1.1 200 OK\r\n")) << rest;
    EXPECT_TRUE(rest.ends_with("\r\n\r\ndrawn")) << rest;
  }
}

TEST(http_disconnect, closing_the_sending_half_behind_pipelined_requests_is_not_leaving) {
  slot<responder> held[2];
  running_server s([&](request&& r, responder reply) { held[r.path == "/2"].put(reply); });
  const half_closed c(s.server->port(),
                      "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  std::string all;
  for (slot<responder>& reply : held) {
    all += c.read(1);
    EXPECT_TRUE(reply.wait()->connected());
    reply.wait()->send(text_response(200, "drawn"));
    while (!all.ends_with("drawn")) {
      const std::string more = c.read(1);
      if (more.empty()) break;
      all += more;
    }
  }
  EXPECT_TRUE(all.starts_with("HTTP/1.1 200 OK\r\n")) << all;
  EXPECT_NE(all.find("drawnHTTP/1.1 200 OK\r\n"), std::string::npos) << all;
  EXPECT_EQ(c.read(1), "");
}

TEST(http_disconnect, leaving_after_closing_the_sending_half_is_told) {
  holder h;
  running_server s(h.take());
  {
    auto c = s.client();
    get(c.write("GET /half HTTP/1.1\r\nHost: h\r\n\r\n", soon()));
    ASSERT_TRUE(h.held.wait());
    c.finish_sending();
  }
  EXPECT_EQ(h.gone.wait(), "/half");
}

TEST(http_timeouts, an_idle_connection_is_closed_silently) {
  http_options options;
  options.idle_timeout = milliseconds(50);
  running_server s(echo, options);
  auto c = s.client();
  EXPECT_TRUE(c.closed_by_server(soon()));
  auto used = s.client();
  EXPECT_EQ(get(used.get("/", soon())).status, 200U);
  EXPECT_TRUE(used.closed_by_server(soon()));
}

TEST(http_timeouts, a_header_that_trickles_is_408) {
  http_options options;
  options.header_timeout = milliseconds(200);
  running_server s(echo, options);
  auto c = s.client();
  std::atomic<bool> over = false;
  // One byte at a time, without end: progress must not extend the deadline.
  std::thread trickle([&] {
    auto sent = c.write("GET / HTTP/1.1\r\nHost: h\r\nX: ", soon());
    while (!over && sent) {
      sent = c.write("x", soon());
      std::this_thread::sleep_for(milliseconds(5));
    }
  });
  const auto r = get(c.read_reply(soon()));
  over = true;
  trickle.join();
  EXPECT_EQ(r.status, 408U);
  EXPECT_THAT(r.body, HasSubstr("header did not arrive in time"));
}

TEST(http_timeouts, a_body_that_stalls_is_408) {
  http_options options;
  options.body_timeout = milliseconds(100);
  running_server s(echo, options);
  auto c = s.client();
  get(c.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345", soon()));
  const auto r = get(c.read_reply(soon()));
  EXPECT_EQ(r.status, 408U);
  EXPECT_THAT(r.body, HasSubstr("body did not arrive in time"));
  EXPECT_TRUE(c.closed_by_server(soon()));
}

TEST(http_timeouts, a_client_that_does_not_read_is_cut_off) {
  http_options options;
  options.write_timeout = milliseconds(200);
  const auto big = share(std::string(64 << 20, 'x'));
  running_server s(
      [&](request&&, responder reply) {
        response r;
        r.body = big;
        reply.send(std::move(r));
      },
      options);
  auto c = s.client();
  get(c.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n", soon()));
  EXPECT_TRUE([&] {
    while (clock::now() < soon()) {
      if (s.server->counters().requests == 1 && s.server->counters().connections == 0) return true;
      std::this_thread::yield();
    }
    return false;
  }());
  EXPECT_FALSE(c.read_reply(soon()));
}

TEST(http_timeouts, a_handler_that_never_answers_is_503_and_told) {
  holder h;
  http_options options;
  options.answer_timeout = milliseconds(100);
  running_server s(h.take(), options);
  const auto r = get(s.client().get("/slow", soon()));
  EXPECT_EQ(r.status, 503U);
  EXPECT_THAT(r.body, HasSubstr("took too long"));
  EXPECT_EQ(h.gone.wait(), "/slow");
  EXPECT_FALSE(h.held.wait()->send(text_response(200, "late")));
}

TEST(http_limits, a_long_header_is_431) {
  http_options options;
  options.header_limit = 1024;
  running_server s(echo, options);
  for (const std::size_t size : {std::size_t{1024}, std::size_t{100'000}}) {
    auto c = s.client();
    get(c.write("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(size, 'x') + "\r\n\r\n", soon()));
    const auto r = get(c.read_reply(soon()));
    EXPECT_EQ(r.status, 431U);
    EXPECT_THAT(r.body, HasSubstr("1024 bytes"));
    EXPECT_TRUE(c.closed_by_server(soon()));
  }
  EXPECT_EQ(get(s.client().get("/" + std::string(900, 'x'), soon())).status, 200U);
}

TEST(http_limits, a_large_body_is_413_before_it_is_sent) {
  http_options options;
  options.body_limit = 1000;
  running_server s(echo, options);
  auto declared = s.client();
  get(declared.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n", soon()));
  EXPECT_EQ(get(declared.read_reply(soon())).status, 413U);
  auto expected = s.client();
  get(
      expected.write("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                     "Content-Length: 99999999999\r\n\r\n",
                     soon()));
  EXPECT_EQ(get(expected.read_reply(soon())).status, 413U);
  auto chunked = s.client();
  get(
      chunked.write("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3e8\r\n" +
                        std::string(1000, 'x') + "\r\n1\r\n",
                    soon()));
  EXPECT_EQ(get(chunked.read_reply(soon())).status, 413U);
  EXPECT_EQ(get(s.client().send("POST", "/", std::string(1000, 'x'), {}, soon())).status, 200U);
}

TEST(http_limits, a_client_that_sends_on_still_reads_its_413) {
  http_options options;
  options.body_limit = 1000;
  running_server s(echo, options);
  auto c = s.client();
  const std::string body(4'000'000, 'x');
  const auto r = get(c.send("POST", "/", body, {}, soon()));
  EXPECT_EQ(r.status, 413U);
}

TEST(http_stop, stop_accepting_leaves_open_connections_alone) {
  running_server s(echo);
  auto c = s.client();
  EXPECT_EQ(get(c.get("/", soon())).status, 200U);
  s.server->stop_accepting();
  EXPECT_FALSE(http_client::connect("127.0.0.1", s.server->port(), soon()));
  EXPECT_EQ(get(c.get("/", soon())).status, 200U);
}

TEST(http_stop, drain_waits_for_the_answers) {
  holder h;
  running_server s(h.take());
  auto idle = s.client();
  auto busy = s.client();
  get(busy.write("GET /b HTTP/1.1\r\nHost: h\r\n\r\n", soon()));
  ASSERT_TRUE(h.held.wait());
  std::thread drains([&] { EXPECT_TRUE(s.server->drain(soon())); });
  EXPECT_TRUE(idle.closed_by_server(soon()));
  h.held.wait()->send(text_response(200, "done"));
  const auto r = get(busy.read_reply(soon()));
  drains.join();
  EXPECT_EQ(r.body, "done");
  EXPECT_EQ(header_of(r, "connection"), "close");
}

TEST(http_stop, what_is_not_done_when_draining_ends_is_told_503) {
  holder h;
  running_server s(h.take());
  auto waits = s.client();
  get(waits.write("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n", soon()));
  ASSERT_TRUE(h.held.wait());
  auto sends = s.client();
  get(sends.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf", soon()));
  EXPECT_EQ(get(s.client().send("OPTIONS", "*", {}, {{"Connection", "close"}}, soon())).status,
            200U)
      << "by now the server has read the others";
  std::thread drains([&] { EXPECT_FALSE(s.server->drain(clock::now() + milliseconds(100))); });
  for (http_client* c : {&waits, &sends}) {
    const auto r = get(c->read_reply(soon()));
    EXPECT_EQ(r.status, 503U);
    EXPECT_THAT(r.body, HasSubstr("this node stops"));
  }
  drains.join();
  EXPECT_EQ(h.gone.wait(), "/slow");
  EXPECT_FALSE(h.held.wait()->send(text_response(200, "too late")));
}

TEST(http_stop, stop_ends_everything_and_responders_outlive_it) {
  holder h;
  std::optional<running_server> s(std::in_place, h.take());
  auto c = s->client();
  get(c.write("GET /b HTTP/1.1\r\nHost: h\r\n\r\n", soon()));
  ASSERT_TRUE(h.held.wait());
  s->server->stop();
  s->server->stop();
  EXPECT_TRUE(s->server->drain(soon()));
  s.reset();
  EXPECT_EQ(h.gone.wait(), "/b");
  EXPECT_FALSE(h.held.wait()->send(text_response(200, "nobody hears")));
  EXPECT_TRUE(c.closed_by_server(soon()));
}

TEST(http_stop, answers_race_with_stop) {
  for (int round = 0; round < 20; ++round) {
    std::vector<std::thread> threads;
    std::mutex mutex;
    std::optional<running_server> s(std::in_place, [&](request&& r, responder reply) {
      const std::lock_guard lock(mutex);
      threads.emplace_back([r = std::move(r), reply]() mutable { echo(std::move(r), reply); });
    });
    std::vector<http_client> clients;
    for (int i = 0; i < 4; ++i) {
      clients.push_back(s->client());
      get(clients.back().write("GET / HTTP/1.1\r\nHost: h\r\n\r\n", soon()));
    }
    s->server->stop();
    s.reset();
    for (auto& t : threads) t.join();
  }
}

}  // namespace
}  // namespace lp::net::test
