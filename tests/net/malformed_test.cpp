// SPDX-License-Identifier: MIT
// A few hundred ways to be wrong: none is accepted, each is told why, and the server serves on.
#include <atomic>
#include <set>

#include <fmt/format.h>
#include <boost/json/parse.hpp>

#include "net/json_body.hpp"
#include "net/router.hpp"
#include "tests/net/fixture.hpp"

namespace lp::net::test {
namespace {

struct wrong {
  std::string what;
  std::string bytes;
};

std::string with_headers(std::string_view headers, std::string_view body = "") {
  return fmt::format("POST /job HTTP/1.1\r\nHost: h\r\n{}\r\n{}", headers, body);
}

std::string with_json(std::string_view body, std::string_view type = "application/json") {
  return with_headers(fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", type, body.size()),
                      body);
}

std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int v : values) out.push_back(static_cast<char>(v));
  return out;
}

void add_request_lines(std::vector<wrong>& out) {
  const std::string lines[] = {"GET",
                               "GET ",
                               "GET /",
                               "GET / ",
                               "GET / HTTP",
                               "GET / HTTP/",
                               "GET / HTTP/1",
                               "GET / HTTP/1.",
                               "GET / HTTP/2.0",
                               "GET / HTTP/0.9",
                               "GET / HTTP/1.2",
                               "GET / HTTP/1.10",
                               "GET / http/1.1",
                               "GET / HTTP/1.1 ",
                               "GET / HTTP/1.1 x",
                               "GET / HTTP 1.1",
                               " GET / HTTP/1.1",
                               "GET  / HTTP/1.1",
                               "GET\t/ HTTP/1.1",
                               "GET /\tx HTTP/1.1",
                               "GET /a b HTTP/1.1",
                               "G@T / HTTP/1.1",
                               "GET(x) / HTTP/1.1",
                               "GET job HTTP/1.1",
                               "GET ../job HTTP/1.1",
                               "GET * HTTP/1.1",
                               "CONNECT h:80 HTTP/1.1",
                               "GET ftp://h/job HTTP/1.1",
                               "GET /%zz HTTP/1.1",
                               "GET /% HTTP/1.1",
                               "GET /%4 HTTP/1.1",
                               "GET /%00 HTTP/1.1",
                               "GET /%0d%0aX:y HTTP/1.1",
                               "GET /%ff HTTP/1.1",
                               "GET /%c0%af HTTP/1.1",
                               "GET /a#b HTTP/1.1",
                               "GET /?x=%zz HTTP/1.1",
                               "GET /?%ff=1 HTTP/1.1",
                               "GET /?x=%00 HTTP/1.1",
                               "PRI * HTTP/2.0",
                               "HTTP/1.1 200 OK",
                               "SSH-2.0-client",
                               bytes({'G', 'E', 'T', ' ', '/', 0xff}),
                               bytes({0x16, 0x03, 0x01, 0x02, 0x00}),
                               bytes({0, 0, 0, 0}),
                               "{\"prompt\":\"a cat\"}"};
  for (const std::string& line : lines) {
    out.push_back({"request line", line + "\r\nHost: h\r\n\r\n"});
  }
  for (const char* method : {"GET", "PUT", "DELETE", "PATCH", "TRACE", "post", "BREW"}) {
    out.push_back({"method", fmt::format("{} /job HTTP/1.1\r\nHost: h\r\n\r\n", method)});
  }
  for (const char* path : {"/", "/jo", "/job/", "/job/x", "/JOB", "//job", "/job%2f", "/./job"}) {
    out.push_back({"path", fmt::format("POST {} HTTP/1.1\r\nHost: h\r\n\r\n", path)});
  }
}

void add_headers(std::vector<wrong>& out) {
  const std::string headers[] = {"X Y: 1",
                                 "X : 1",
                                 ": 1",
                                 "no colon",
                                 " X: 1",
                                 "X\t: 1",
                                 "(X): 1",
                                 "X@: 1",
                                 "X[1]: 1",
                                 "X: a\001b",
                                 "X: a\177b",
                                 "X: 1\r\n folded",
                                 "X: 1\r\n\tfolded",
                                 "X: 1\nY: 2",
                                 "X: 1\rY: 2",
                                 "Host: other",
                                 "Expect: 200-ok",
                                 "Connection: ,;,",
                                 std::string("X: a\0b", 6),
                                 bytes({0xc3, 0xa4, ':', '1'}),
                                 "X: " + std::string(20'000, 'x')};
  for (const std::string& h : headers) {
    out.push_back({"header", with_headers(h + "\r\nContent-Length: 2\r\n", "{}")});
  }
  for (const char* host : {"", "Host:\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: <x>\r\n",
                           "Host: a\r\nhost: a\r\n", "Host: a,b\r\n", "Host: u@h\r\n"}) {
    out.push_back(
        {"host", fmt::format("POST /job HTTP/1.1\r\n{}Content-Length: 2\r\n\r\n{{}}", host)});
  }
}

void add_lengths(std::vector<wrong>& out) {
  for (const char* length : {"-1", "+2", "2x", "0x2", "", "2 2", "2,3", "2;2", "2.0", "two", "1e1",
                             "18446744073709551616", "99999999999999999999999", "70000", "3"}) {
    out.push_back({"length", with_headers(fmt::format("Content-Length: {}\r\n", length), "{}")});
  }
  const char* pairs[] = {"Content-Length: 2\r\nContent-Length: 3\r\n",
                         "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
                         "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
                         "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                         "Transfer-Encoding: gzip\r\n",
                         "Transfer-Encoding: gzip, chunked\r\n",
                         "Transfer-Encoding: chunked, gzip\r\n",
                         "Transfer-Encoding: identity\r\n",
                         "Transfer-Encoding: xchunked\r\n",
                         "Transfer-Encoding:\r\n"};
  for (const char* p : pairs) {
    out.push_back({"framing", with_headers(p, "2\r\n{}\r\n0\r\n\r\n")});
  }
  out.push_back({"framing",
                 "POST /job HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "2\r\n{}\r\n0\r\n\r\n"});
}

void add_chunks(std::vector<wrong>& out) {
  for (const char* chunks : {"\r\n{}\r\n0\r\n\r\n",
                             "g\r\n{}\r\n0\r\n\r\n",
                             "-2\r\n{}\r\n0\r\n\r\n",
                             "0x2\r\n{}\r\n0\r\n\r\n",
                             " 2\r\n{}\r\n0\r\n\r\n",
                             "2 2\r\n{}\r\n0\r\n\r\n",
                             "2\n{}\r\n0\r\n\r\n",
                             "2\r\n{}0\r\n\r\n",
                             "2\r\n{}\n0\r\n\r\n",
                             "3\r\n{}\r\n0\r\n\r\n",
                             "1\r\n{}\r\n0\r\n\r\n",
                             "2\r\n{}\r\n",
                             "2\r\n{}\r\n0\r\n",
                             "2\r\n{",
                             "2",
                             "fffffffffffffffff\r\n{}",
                             "ffffffffffffffff\r\n{}",
                             "ffffffff\r\n{}",
                             "2;=\r\n{}\r\n0\r\n\r\n",
                             "2;a=\"\r\n{}\r\n0\r\n\r\n",
                             "2\r\n{}\r\n0\r\nbad trailer\r\n\r\n",
                             "2\r\n{}\r\n0\r\nContent-Length: 2\r\n\r\n"}) {
    out.push_back({"chunk", with_headers("Transfer-Encoding: chunked\r\n", chunks)});
  }
  out.push_back(
      {"chunk", with_headers("Transfer-Encoding: chunked\r\n", "2;" + std::string(200'000, 'x'))});
}

void add_json(std::vector<wrong>& out) {
  const std::string bodies[] = {"",
                                " \n ",
                                "{",
                                "}",
                                "{\"a\":1",
                                "{\"a\":}",
                                "{\"a\" 1}",
                                "{\"a\":1,}",
                                "{,}",
                                "{a:1}",
                                "{'a':1}",
                                "{\"a\":1}}",
                                "{\"a\":1}{}",
                                "{} x",
                                "[1,]",
                                "nul",
                                "truE",
                                "NaN",
                                "{\"a\":NaN}",
                                "{\"a\":Infinity}",
                                "{\"a\":-}",
                                "{\"a\":01}",
                                "{\"a\":1.}",
                                "{\"a\":.5}",
                                "{\"a\":+1}",
                                "{\"a\":0x1}",
                                "{\"a\":1e}",
                                "{\"a\":\"x}",
                                "{\"a\":\"\\x\"}",
                                "{\"a\":\"\\u12\"}",
                                "{\"a\":\"\\ud800\"}",
                                "{\"a\":\"\\udc00\"}",
                                "{\"a\":\"\n\"}",
                                "{\"a\":\"\t\"}",
                                "{\"a\":1 /* c */}",
                                "// c\n{}",
                                "prompt=a+cat",
                                std::string("{\"a\":\"\0\"}", 9),
                                "{\"a\":\"" + bytes({0xff}) + "\"}",
                                "{\"a\":\"" + bytes({0xc0, 0xaf}) + "\"}",
                                "{\"a\":\"" + bytes({0xe2, 0x82}) + "\"}",
                                "{\"a\":\"" + bytes({0xed, 0xa0, 0x80}) + "\"}",
                                "{\"a\":\"" + bytes({0xf4, 0x90, 0x80, 0x80}) + "\"}",
                                "{\"a\":\"" + bytes({0x80}) + "\"}",
                                std::string(33, '[') + std::string(33, ']'),
                                std::string(60'000, '['),
                                "[]",
                                "\"text\"",
                                "7",
                                "null",
                                "true"};
  for (const std::string& body : bodies) out.push_back({"json", with_json(body)});
  for (const char* type :
       {"text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded",
        "application/jsonx", "json", "application", "application/json, text/plain", "image/png"}) {
    out.push_back({"content type", with_json("{}", type)});
  }
}

// Cut anywhere, a good request is a bad one.
void add_cuts(std::vector<wrong>& out) {
  const std::string good = with_json("{\"prompt\":\"a cat\",\"seed\":7}");
  for (std::size_t size = 1; size < good.size(); ++size) {
    out.push_back({"cut", good.substr(0, size)});
  }
}

class malformed : public ::testing::Test {
 protected:
  malformed() {
    routes_.add("POST", "/job", [this](request&& r, responder reply) {
      const auto body = parse_json_body(r);
      if (!body) return void(reply.send(error_response(body.error())));
      if (!body->is_object()) {
        return void(
            reply.send(error_response({ec::invalid_parameters, "a JSON object is expected", {}})));
      }
      ++accepted_;
      reply.send(json_response(200, "{}"));
    });
    routes_.add("GET", "/health",
                [](request&&, responder reply) { reply.send(json_response(200, "{}")); });
    http_options options;
    options.body_limit = 65'536;
    server_.emplace(std::ref(routes_), options);
    health_.emplace(server_->client());
  }

  void refuse(const wrong& w) {
    SCOPED_TRACE(w.what + ": " + w.bytes.substr(0, 200));
    auto c = server_->client();
    get(c.write(w.bytes, soon()));
    c.finish_sending();
    const auto reply = c.read_reply(soon());
    ASSERT_TRUE(reply) << render(reply.error());
    EXPECT_GE(reply->status, 400U);
    EXPECT_NE(reply->status, 500U);
    const auto body = boost::json::parse(reply->body);
    const auto& detail = body.as_object().at("detail");
    const auto& told = reply->status == 422 ? detail.as_array().at(0).as_object().at("msg")
                                            : detail.as_object().at("msg");
    EXPECT_GE(told.as_string().size(), 10U) << reply->body;
    EXPECT_EQ(accepted_, 0);
    EXPECT_EQ(get(health_->get("/health", soon())).status, 200U);
  }

  std::atomic<int> accepted_ = 0;
  router routes_;
  std::optional<running_server> server_;
  std::optional<http_client> health_;
};

TEST_F(malformed, requests_are_refused_and_the_server_serves_on) {
  std::vector<wrong> all;
  add_request_lines(all);
  add_headers(all);
  add_lengths(all);
  add_chunks(all);
  add_json(all);
  add_cuts(all);
  std::set<std::string> distinct;
  for (const wrong& w : all) {
    distinct.insert(w.bytes);
    refuse(w);
  }
  EXPECT_GE(distinct.size(), 300U);
  const auto good = get(health_->post_json("/job", "{}", soon()));
  EXPECT_EQ(good.status, 200U);
  EXPECT_EQ(accepted_, 1);
}

}  // namespace
}  // namespace lp::net::test
