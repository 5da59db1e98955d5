// SPDX-License-Identifier: MIT
// What browsers and other clients do to bodies and headers: compression, pages of other origins.
#include <zlib.h>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "net/cors.hpp"
#include "tests/net/fixture.hpp"

namespace lp::net::test {
namespace {

using ::testing::HasSubstr;

// `window` as zlib takes it: 31 for gzip, 15 for deflate, -15 for deflate without a wrapping.
std::string compress(std::string_view text, int window) {
  z_stream z{};
  deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, text.size()), 0);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

// What the server understood, or the status.
std::string sent(const running_server& s, const std::string& coding, const std::string& body) {
  const auto r = get(s.client().send("POST", "/", body, {{"Content-Encoding", coding}}, soon()));
  return r.status == 200 ? r.body.substr(r.body.find('\n') + 1) : std::to_string(r.status);
}

TEST(http_coding, compressed_bodies_are_taken) {
  running_server s(echo);
  const std::string text = R"({"prompt": "a cat"})";
  EXPECT_EQ(sent(s, "gzip", compress(text, 31)), text);
  EXPECT_EQ(sent(s, "X-GZip", compress(text, 31)), text);
  EXPECT_EQ(sent(s, "deflate", compress(text, 15)), text);
  EXPECT_EQ(sent(s, "deflate", compress(text, -15)), text);
  EXPECT_EQ(sent(s, "identity", text), text);
  EXPECT_EQ(sent(s, "identity, gzip", compress(text, 31)), text);
  EXPECT_EQ(sent(s, "gzip", compress(text, 31) + compress(text, 31)), text + text);
  EXPECT_EQ(sent(s, "gzip", ""), "") << "an empty body needs no wrapping";
}

TEST(http_coding, large_ones_come_in_any_pieces) {
  running_server s(echo);
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += std::to_string(i * 7919);
  const std::string body = compress(text, 31);
  EXPECT_EQ(sent(s, "gzip", body), text);
  auto c = s.client();
  get(
      c.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\n"
              "Transfer-Encoding: chunked\r\n\r\n",
              soon()));
  for (std::size_t at = 0; at < body.size(); at += 1'003) {
    const std::string part = body.substr(at, 1'003);
    get(c.write(fmt::format("{:x}\r\n{}\r\n", part.size(), part), soon()));
  }
  get(c.write("0\r\n\r\n", soon()));
  EXPECT_EQ(get(c.read_reply(soon())).body, "POST /\n" + text);
}

TEST(http_coding, what_is_not_as_it_says_is_400) {
  running_server s(echo);
  const std::string whole = compress("{}", 31);
  EXPECT_EQ(sent(s, "gzip", "{}"), "400");
  EXPECT_EQ(sent(s, "gzip", compress("{}", 15)), "400");
  EXPECT_EQ(sent(s, "deflate", whole), "400");
  EXPECT_EQ(sent(s, "gzip", whole + "x"), "400") << "something behind it";
  EXPECT_EQ(sent(s, "deflate", compress("{}", 15) + "x"), "400");
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    EXPECT_EQ(sent(s, "gzip", whole.substr(0, cut)), "400") << cut;
  }
}

TEST(http_coding, others_are_415_and_told_what_is_taken) {
  running_server s(echo);
  for (const char* coding : {"br", "zstd", "compress", "gzip, gzip", "deflate,gzip", "*"}) {
    auto c = s.client();
    get(c.write(fmt::format("POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: {}\r\n"
                            "Content-Length: 1000\r\n\r\n",
                            coding),
                soon()));
    const auto r = get(c.read_reply(soon()));
    EXPECT_EQ(r.status, 415U) << coding;
    EXPECT_EQ(header_of(r, "Accept-Encoding"), "gzip, deflate");
    EXPECT_THAT(r.body, HasSubstr("gzip, deflate"));
  }
}

TEST(http_coding, a_bomb_goes_no_further_than_a_plain_body_may) {
  http_options options;
  options.body_limit = 1'000'000;
  running_server s(echo, options);
  const std::string bomb = compress(std::string(200'000'000, 0), 31);
  ASSERT_LT(bomb.size(), options.body_limit);
  EXPECT_EQ(sent(s, "gzip", bomb), "413");
  EXPECT_EQ(sent(s, "gzip", compress(std::string(1'000'001, 'x'), 31)), "413");
  const std::string just(1'000'000, 'x');
  EXPECT_EQ(sent(s, "gzip", compress(just, 31)), just);
  http_options shared;
  shared.bodies_limit = 1'000'000;
  running_server small(echo, shared);
  EXPECT_EQ(sent(small, "gzip", bomb), "503") << "what it becomes counts";
}

http_reply preflight(const running_server& s, const std::string& origin, const char* target) {
  return get(s.client().send("OPTIONS", target, {},
                             {{"Origin", origin},
                              {"Access-Control-Request-Method", "POST"},
                              {"Access-Control-Request-Headers", "authorization,content-type"}},
                             soon()));
}

std::string allowed(const http_reply& r) {
  return header_of(r, "Access-Control-Allow-Origin");
}

TEST(http_cors, pages_of_configured_origins_may_use_every_route) {
  http_options options;
  options.cors_origins = {"https://app.example", "null"};
  options.check_head = [](const request& head) -> std::optional<response> {
    if (head.path != "/closed") return std::nullopt;
    return error_response({ec::unauthorized, "a token is missing", {}});
  };
  running_server s(echo, options);
  for (const char* target : {"/", "/closed", "/media/x"}) {
    const auto r = preflight(s, "https://app.example", target);
    EXPECT_EQ(r.status, 204U) << target;
    EXPECT_EQ(allowed(r), "https://app.example");
    EXPECT_EQ(header_of(r, "Access-Control-Allow-Headers"), "authorization,content-type");
    EXPECT_THAT(header_of(r, "Access-Control-Allow-Methods"), HasSubstr("POST"));
    EXPECT_EQ(header_of(r, "Vary"), "Origin");
  }
  const auto other = preflight(s, "https://evil.example", "/");
  EXPECT_EQ(other.status, 403U);
  EXPECT_EQ(allowed(other), "");
  EXPECT_THAT(other.body, HasSubstr("https://evil.example"));
  EXPECT_EQ(allowed(preflight(s, "null", "/")), "null");
}

TEST(http_cors, answers_and_errors_can_be_read) {
  http_options options;
  options.cors_origins = {"https://app.example"};
  options.body_limit = 1000;
  options.check_head = [](const request& head) -> std::optional<response> {
    if (head.path != "/closed") return std::nullopt;
    return error_response({ec::unauthorized, "a token is missing", {}});
  };
  running_server s(
      [](request&& r, responder reply) {
        if (r.path == "/fails") throw std::runtime_error("no");
        echo(std::move(r), std::move(reply));
      },
      options);
  const auto ask = [&](const char* target, std::vector<header> more, const std::string& body) {
    more.push_back({"Origin", "https://app.example"});
    const auto r = get(s.client().send("POST", target, body, more, soon()));
    EXPECT_EQ(allowed(r), "https://app.example") << target << r.status;
    EXPECT_THAT(header_of(r, "Access-Control-Expose-Headers"), HasSubstr("X-Request-Id"));
    return r.status;
  };
  EXPECT_EQ(ask("/", {}, "{}"), 200U);
  EXPECT_EQ(ask("/closed", {}, "{}"), 401U);
  EXPECT_EQ(ask("/fails", {}, "{}"), 500U);
  EXPECT_EQ(ask("/", {}, std::string(2000, 'x')), 413U);
  EXPECT_EQ(ask("/", {{"Content-Encoding", "br"}}, "x"), 415U);
  EXPECT_EQ(ask("/", {{"Content-Encoding", "gzip"}}, "x"), 400U);
  const auto other = get(s.client().send("POST", "/", "{}", {{"Origin", "https://x.y"}}, soon()));
  EXPECT_EQ(other.status, 200U);
  EXPECT_EQ(allowed(other), "");
  // One connection, pages of two origins through a proxy.
  auto c = s.client();
  (void)get(c.send("POST", "/", "{}", {{"Origin", "https://app.example"}}, soon()));
  EXPECT_EQ(allowed(get(c.get("/", soon()))), "");
}

TEST(http_cors, all_or_none) {
  http_options options;
  options.cors_origins = {"*"};
  running_server all(echo, options);
  EXPECT_EQ(allowed(preflight(all, "https://any.example", "/")), "*");
  EXPECT_EQ(allowed(get(all.client().get("/", soon()))), "*");
  running_server none(echo);
  EXPECT_EQ(allowed(preflight(none, "https://any.example", "/")), "");
}

TEST(http_cors, origins_are_checked) {
  for (const char* good : {"*", "null", "https://a.example", "http://localhost:3000",
                           "http://[::1]:8080", "HTTPS://A.example", "chrome-extension://abc"}) {
    EXPECT_TRUE(parse_origin(good)) << good;
  }
  EXPECT_EQ(get(parse_origin("HTTPS://A.example")), "https://a.example");
  for (const char* bad : {"", "a.example", "https://", "https://a.example/", "https://a/b",
                          "https://*.example", "://x", "https://a b"}) {
    EXPECT_FALSE(parse_origin(bad)) << bad;
  }
}

}  // namespace
}  // namespace lp::net::test
