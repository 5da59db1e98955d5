// SPDX-License-Identifier: MIT
#include "net/http_server.hpp"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>

#include "tests/net/fixture.hpp"

namespace lp::net::test {
namespace {

using ::testing::HasSubstr;

TEST(http_server, keeps_a_connection_for_many_requests) {
  running_server s(echo);
  auto c = s.client();
  for (int i = 0; i < 50; ++i) {
    const auto r = get(c.post_json("/n", std::to_string(i), soon()));
    EXPECT_EQ(r.status, 200U);
    EXPECT_EQ(r.body, "POST /n\n" + std::to_string(i));
    EXPECT_EQ(header_of(r, "connection"), "keep-alive");
  }
  EXPECT_EQ(s.server->counters().connections, 1U);
  EXPECT_EQ(s.server->counters().requests, 50U);
}

TEST(http_server, closes_when_the_client_asks_and_after_http_1_0) {
  running_server s(echo);
  for (const char* text :
       {"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET /a HTTP/1.0\r\n\r\n"}) {
    auto c = s.client();
    get(c.write(text, soon()));
    const auto r = get(c.read_reply(soon()));
    EXPECT_EQ(r.status, 200U);
    EXPECT_EQ(header_of(r, "connection"), "close");
    EXPECT_TRUE(c.closed_by_server(soon()));
  }
}

TEST(http_server, answers_pipelined_requests_in_order) {
  // The first answer is held back until the handler of a later one would have been free to run.
  std::atomic<int> under_way = 0;
  std::atomic<int> most = 0;
  std::vector<std::thread> threads;
  running_server s([&](request&& r, responder reply) {
    most = std::max(most.load(), ++under_way);
    threads.emplace_back([&, r = std::move(r), reply] {
      std::this_thread::yield();
      --under_way;
      echo(request(r), reply);
    });
  });
  auto c = s.client();
  std::string all;
  for (int i = 0; i < 20; ++i) {
    all += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
  }
  get(c.write(all, soon()));
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(get(c.read_reply(soon())).body, "POST /" + std::to_string(i) + "\nabc");
  }
  EXPECT_EQ(most, 1);
  s.server->stop();
  for (auto& t : threads) t.join();
}

TEST(http_server, takes_a_request_in_any_pieces) {
  running_server s(echo);
  auto c = s.client();
  const std::string text =
      "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "4\r\nwiki\r\n6;name=value\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nTrailer: x\r\n\r\n";
  for (int round = 0; round < 2; ++round) {
    for (const char byte : text) get(c.write({&byte, 1}, soon()));
    EXPECT_EQ(get(c.read_reply(soon())).body, "POST /p\nwikipedia in \r\n\r\nchunks.");
  }
}

TEST(http_server, large_bodies_go_both_ways) {
  std::string payload(5'000'000, '\0');
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(i * 31 >> 3);
  running_server s(echo);
  auto c = s.client();
  const auto r = get(c.send("POST", "/big", payload, {}, soon()));
  EXPECT_TRUE(r.body == "POST /big\n" + payload);
}

TEST(http_server, a_shared_body_may_be_sent_in_part) {
  const auto shared = share("0123456789");
  running_server s([&](request&&, responder reply) {
    response r;
    r.body = shared;
    r.first = 3;
    r.count = 4;
    reply.send(std::move(r));
  });
  EXPECT_EQ(get(s.client().get("/", soon())).body, "3456");
}

TEST(http_server, tells_the_client_to_continue) {
  running_server s(echo);
  auto c = s.client();
  get(c.write("POST /e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
              soon()));
  EXPECT_EQ(get(c.read_reply(soon())).status, 100U);
  get(c.write("body", soon()));
  EXPECT_EQ(get(c.read_reply(soon())).body, "POST /e\nbody");
}

TEST(http_server, head_has_the_length_but_no_body) {
  running_server s(echo);
  auto c = s.client();
  for (int i = 0; i < 2; ++i) {
    const auto r = get(c.send("HEAD", "/h", {}, {}, soon()));
    EXPECT_EQ(header_of(r, "content-length"), "8");
    EXPECT_TRUE(r.body.empty());
  }
}

TEST(http_server, decodes_path_query_and_headers) {
  slot<request> seen;
  running_server s([&](request&& r, responder reply) {
    seen.put(r);
    reply.send(text_response(200, origin_of(r)));
  });
  auto c = s.client();
  const auto r = get(c.send("GET", "/a%20b/%C3%A4?x=1+2&y=%26&x=3&flag&=", {},
                            {{"X-Empty", ""}, {"x-NAME", " v "}}, soon()));
  EXPECT_EQ(r.body, "http://127.0.0.1:" + std::to_string(s.server->port()));
  const auto got = seen.wait();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->path, "/a b/ä");
  EXPECT_EQ(got->query, (std::map<std::string, std::string, std::less<>>{
                            {"x", "3"}, {"y", "&"}, {"flag", ""}, {"", ""}}));
  EXPECT_EQ(got->header_value("X-Name"), "v");
  ASSERT_NE(find_header(got->headers, "X-EMPTY"), nullptr);
  EXPECT_THAT(got->remote, ::testing::StartsWith("127.0.0.1:"));
  EXPECT_EQ(header_of(r, "x-request-id"), got->id);
}

TEST(http_server, the_absolute_form_of_a_target_is_taken) {
  running_server s([](request&& r, responder reply) { reply.send(text_response(200, r.path)); });
  EXPECT_EQ(get(s.client().get("http://example.org/p?q=1", soon())).body, "/p");
  EXPECT_EQ(get(s.client().get("http://example.org", soon())).body, "/");
  EXPECT_EQ(get(s.client().get("HTTP://example.org?q=/a", soon())).body, "/");
}

TEST(http_server, tells_its_origin_as_the_client_sees_it) {
  running_server s(
      [](request&& r, responder reply) { reply.send(text_response(200, origin_of(r))); });
  const auto ask = [&](std::string_view text) {
    auto c = s.client();
    get(c.write(text, soon()));
    return get(c.read_reply(soon())).body;
  };
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: example.org:8\r\n\r\n"), "http://example.org:8");
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: e.org\r\nX-Forwarded-Proto: https\r\n\r\n"),
            "https://e.org");
  EXPECT_EQ(ask("GET / HTTP/1.0\r\n\r\n"), "http://127.0.0.1:" + std::to_string(s.server->port()));
}

TEST(http_server, only_the_first_answer_counts) {
  running_server s([](request&&, responder reply) {
    EXPECT_TRUE(reply.send(text_response(201, "first")));
    EXPECT_FALSE(reply.send(text_response(202, "second")));
  });
  auto c = s.client();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get(c.get("/", soon())).body, "first");
}

TEST(http_server, a_dropped_responder_is_500) {
  running_server s([](request&&, responder) {});
  auto c = s.client();
  for (int i = 0; i < 2; ++i) {
    const auto r = get(c.get("/", soon()));
    EXPECT_EQ(r.status, 500U);
    EXPECT_THAT(r.body, HasSubstr("dropped without an answer"));
  }
}

TEST(http_server, an_exception_of_the_handler_is_500_with_its_text) {
  running_server s([](request&&, responder) { throw std::runtime_error("out of cheese"); });
  auto c = s.client();
  for (int i = 0; i < 2; ++i) {
    const auto r = get(c.get("/", soon()));
    EXPECT_EQ(r.status, 500U);
    EXPECT_EQ(r.body, R"({"detail":{"msg":"out of cheese"}})");
  }
}

TEST(http_server, header_values_cannot_smuggle_headers) {
  running_server s([](request&&, responder reply) {
    auto r = text_response(200, "x");
    r.headers.push_back({"X-Note", "a\r\nX-Evil: 1"});
    reply.send(std::move(r));
  });
  const auto r = get(s.client().get("/", soon()));
  EXPECT_EQ(header_of(r, "x-note"), "a  X-Evil: 1");
  EXPECT_EQ(find_header(r.headers, "x-evil"), nullptr);
}

TEST(http_server, many_clients_and_threads_at_once) {
  http_options options;
  options.threads = 3;
  running_server s(
      [](request&& r, responder reply) {
        std::thread([r = std::move(r), reply]() mutable { echo(std::move(r), reply); }).detach();
      },
      options);
  std::atomic<int> right = 0;
  std::vector<std::thread> clients;
  for (int k = 0; k < 8; ++k) {
    clients.emplace_back([&, k] {
      auto c = s.client();
      for (int i = 0; i < 40; ++i) {
        const std::string body = std::to_string(k * 1000 + i);
        right += get(c.post_json("/", body, soon())).body == "POST /\n" + body;
      }
    });
  }
  for (auto& t : clients) t.join();
  EXPECT_EQ(right, 320);
}

TEST(http_server, an_address_in_use_is_a_clear_error) {
  running_server s(echo);
  http_options options;
  options.port = s.server->port();
  const auto second = http_server::start(options, echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ec::bad_config);
  EXPECT_THAT(second.error().message, HasSubstr(std::to_string(options.port)));
  options.address = "not an address";
  EXPECT_FALSE(http_server::start(options, echo));
}

}  // namespace
}  // namespace lp::net::test
