// SPDX-License-Identifier: MIT
// Router, error answers, JSON bodies, media store and the wire form of errors.
#include <gmock/gmock.h>

#include <boost/json/object.hpp>

#include "net/http_errors.hpp"
#include "net/json_body.hpp"
#include "net/media_store.hpp"
#include "net/router.hpp"
#include "net/wire/convert.hpp"
#include "tests/net/fixture.hpp"

namespace lp::net::test {
namespace {

using ::testing::HasSubstr;

handler says(std::string text) {
  return [text](request&&, responder reply) { reply.send(text_response(200, text)); };
}

TEST(router, prefers_exact_then_the_longest_prefix) {
  router routes;
  routes.add("GET", "/media/", says("exact"));
  routes.add_prefix("GET", "/media/", says("media"));
  routes.add_prefix("GET", "/media/big/", says("big"));
  routes.add_prefix("GET", "/m", says("m"));
  running_server s(routes);
  auto c = s.client();
  for (const auto& [path, text] : {std::pair{"/media/", "exact"},
                                   {"/media/x.png", "media"},
                                   {"/media/big/x", "big"},
                                   {"/media/bigger", "media"},
                                   {"/mzz", "m"},
                                   {"/media?x=1", "m"}}) {
    EXPECT_EQ(get(c.get(path, soon())).body, text) << path;
  }
  EXPECT_EQ(get(c.get("/a", soon())).status, 404U);
  EXPECT_EQ(get(c.get("/z", soon())).status, 404U);
}

TEST(router, tells_what_is_allowed) {
  router routes;
  routes.add("GET", "/x", says("got"));
  routes.add("POST", "/x", says("posted"));
  running_server s(routes);
  auto c = s.client();
  const auto r = get(c.send("DELETE", "/x", {}, {}, soon()));
  EXPECT_EQ(r.status, 405U);
  EXPECT_EQ(header_of(r, "Allow"), "GET, HEAD, POST, OPTIONS");
  EXPECT_EQ(r.body, R"({"detail":{"msg":"/x takes GET, HEAD, POST, OPTIONS, not DELETE"}})");
  const auto asked = get(c.send("OPTIONS", "/x", {}, {}, soon()));
  EXPECT_EQ(asked.status, 204U);
  EXPECT_EQ(header_of(asked, "Allow"), "GET, HEAD, POST, OPTIONS");
  const auto head = get(c.send("HEAD", "/x", {}, {}, soon()));
  EXPECT_EQ(head.status, 200U);
  EXPECT_EQ(header_of(head, "Content-Length"), "3");
  EXPECT_EQ(get(c.send("HEAD", "/y", {}, {}, soon())).status, 404U);
}

TEST(http_errors, take_the_form_of_the_reference) {
  const auto plain = error_response({ec::bad_request, "no \"prompt\"", {}});
  EXPECT_EQ(plain.status, 400U);
  EXPECT_EQ(*plain.body, R"({"detail":{"msg":"no \"prompt\""}})");
  const auto fields = error_response(
      {ec::invalid_parameters, "x", {{{"body", "width"}, "too wide", "less_than_equal"}}});
  EXPECT_EQ(fields.status, 422U);
  EXPECT_EQ(*fields.body,
            R"({"detail":[{"loc":["body","width"],"msg":"too wide","type":"less_than_equal"}]})");
  const auto lone = error_response({ec::invalid_parameters, "not an object", {}});
  EXPECT_EQ(*lone.body,
            R"({"detail":[{"loc":["body"],"msg":"not an object","type":"value_error"}]})");
  EXPECT_EQ(
      *find_header(error_response({ec::unauthorized, "token", {}}).headers, "WWW-Authenticate"),
      "Bearer");
  EXPECT_TRUE(find_header(error_response({ec::busy, "full", {}}).headers, "Retry-After"));
  EXPECT_FALSE(find_header(error_response({ec::bad_file, "x", {}}).headers, "Retry-After"));
  EXPECT_THAT(*error_response({ec::bad_request, "odd \xff", {}}).body, HasSubstr("odd ?"));
}

TEST(json_body, messages_tell_the_place) {
  EXPECT_THAT(parse_json("{\"a\": 1,\n \"b\": x}").error().message, HasSubstr("line 2, column"));
  EXPECT_THAT(parse_json("{} {}").error().message, HasSubstr("line 1, column 4"));
  EXPECT_THAT(parse_json("{\"a\":\"\xff\"}").error().message, HasSubstr("not UTF-8"));
  EXPECT_THAT(parse_json("").error().message, HasSubstr("empty"));
  EXPECT_TRUE(parse_json(std::string(32, '[') + std::string(32, ']')));
  EXPECT_THAT(parse_json(std::string(33, '[') + std::string(33, ']')).error().message,
              HasSubstr("deep"));
  EXPECT_EQ(get(parse_json(" {\"a\":[1,2.5,\"\\u00e4\"]} ")).as_object().size(), 1U);
}

TEST(json_body, a_byte_order_mark_is_passed_over) {
  EXPECT_EQ(get(parse_json("\xEF\xBB\xBF{\"a\":1}")).at("a"), 1);
  EXPECT_FALSE(parse_json("\xEF\xBB\xBF"));
  EXPECT_FALSE(parse_json("\xEF\xBB\xBF\xEF\xBB\xBF{}")) << "one, not many";
  EXPECT_FALSE(parse_json(std::string("\xFF\xFE{\0}\0", 6))) << "UTF-16";
}

TEST(json_body, content_types) {
  request r;
  r.body = "{}";
  EXPECT_TRUE(parse_json_body(r));
  for (const char* good : {"application/json", "Application/JSON ; charset=UTF-8",
                           "application/json;charset=\"utf-8\"", "application/json; v=1",
                           "application/json; charset=utf8", "application/json; charset=us-ascii",
                           "application/json; charset=latin1", "application/json; charset",
                           "application/json;", "application/json; charset=\"utf-8"}) {
    r.headers = {{"content-type", good}};
    EXPECT_TRUE(parse_json_body(r)) << good;
  }
  for (const char* bad : {"text/json", "application/jsonp", "; charset=utf-8", "", "multipart/x"}) {
    r.headers = {{"content-type", bad}};
    EXPECT_EQ(parse_json_body(r).error().code, ec::unsupported_media) << bad;
  }
}

shared_bytes some(std::size_t size) {
  return share(std::string(size, 'x'));
}

TEST(media_store, evicts_the_oldest_by_bytes_and_by_count) {
  const time_point t0{};
  media_store store({.bytes = 100, .count = 3, .keep = seconds(10)});
  const auto a = *store.put(some(40), "image/png", t0);
  const auto b = *store.put(some(40), "image/png", t0);
  EXPECT_NE(a, b);
  EXPECT_EQ(a.size(), 32U);
  const auto c = *store.put(some(30), "image/png", t0);
  EXPECT_FALSE(store.get(a, t0));
  EXPECT_EQ(store.get(b, t0)->data->size(), 40U);
  EXPECT_EQ(store.bytes(), 70U);
  store.put(some(1), "image/png", t0);
  store.put(some(1), "image/png", t0);
  EXPECT_FALSE(store.get(b, t0));
  EXPECT_TRUE(store.get(c, t0));
  EXPECT_EQ(store.count(), 3U);
  EXPECT_EQ(store.put(some(101), "image/png", t0).error().code, ec::too_large);
  EXPECT_EQ(store.count(), 3U);
}

TEST(media_store, forgets_what_expired) {
  const time_point t0{};
  media_store store({.bytes = 100, .count = 9, .keep = seconds(10)});
  const auto usual = *store.put(some(1), "image/png", t0);
  const auto brief = *store.put(some(1), "image/png", t0, seconds(2));
  EXPECT_TRUE(store.get(brief, t0 + milliseconds(1999)));
  EXPECT_FALSE(store.get(brief, t0 + seconds(2)));
  EXPECT_TRUE(store.get(usual, t0 + seconds(9)));
  EXPECT_EQ(store.count(), 2U);
  store.expire(t0 + seconds(9));
  EXPECT_EQ(store.count(), 1U);
  store.put(some(1), "image/png", t0 + seconds(10));
  EXPECT_EQ(store.count(), 1U);
  EXPECT_FALSE(store.get(usual, t0 + seconds(10)));
}

class media_routes : public ::testing::Test {
 protected:
  response ask(std::string path, std::vector<header> headers = {}) {
    request r;
    r.path = std::move(path);
    r.headers = std::move(headers);
    return media_response(store_, r, t0_);
  }
  std::string body(const response& r) { return r.body->substr(r.first, r.count); }

  const time_point t0_{};
  media_store store_;
  const std::string id_ = *store_.put(share("0123456789"), "image/png", t0_, seconds(60));
  const std::string path_ = media_path(id_, "image/png");
};

TEST_F(media_routes, serve_the_item_and_only_under_its_name) {
  EXPECT_EQ(path_, "/media/" + id_ + ".png");
  const auto r = ask(path_);
  EXPECT_EQ(r.status, 200U);
  EXPECT_EQ(body(r), "0123456789");
  EXPECT_EQ(*find_header(r.headers, "Content-Type"), "image/png");
  EXPECT_EQ(*find_header(r.headers, "Cache-Control"), "private, max-age=60, immutable");
  EXPECT_EQ(ask(path_, {{"If-None-Match", "\"" + id_ + "\""}}).status, 304U);
  for (const std::string& path :
       {"/media/" + id_, "/media/" + id_ + ".jpg", path_ + "x", std::string("/media/"),
        std::string("/media/0.png"), std::string("/other")}) {
    EXPECT_EQ(ask(path).status, 404U) << path;
  }
}

TEST_F(media_routes, serve_ranges) {
  const auto part = [&](const char* range) { return ask(path_, {{"Range", range}}); };
  EXPECT_EQ(body(part("bytes=2-4")), "234");
  EXPECT_EQ(part("bytes=2-4").status, 206U);
  EXPECT_EQ(*find_header(part("bytes=2-4").headers, "Content-Range"), "bytes 2-4/10");
  EXPECT_EQ(body(part("bytes=7-")), "789");
  EXPECT_EQ(body(part("bytes=7-999")), "789");
  EXPECT_EQ(body(part("bytes=-2")), "89");
  EXPECT_EQ(body(part("bytes=-99")), "0123456789");
  EXPECT_EQ(part("bytes=10-").status, 416U);
  EXPECT_EQ(part("bytes=-0").status, 416U);
  for (const char* ignored : {"bytes=4-2", "bytes=a-b", "bytes=1-2,4-5", "bytes=", "bytes=-",
                              "lines=1-2", "bytes=99999999999999999999-"}) {
    EXPECT_EQ(part(ignored).status, 200U) << ignored;
    EXPECT_EQ(body(part(ignored)), "0123456789") << ignored;
  }
}

TEST(wire_errors, survive_the_journey) {
  for (std::uint32_t code = 0; code <= 19; ++code) {
    const error e{static_cast<ec>(code), "why", {{{"body", "x"}, "m", "t"}, {{}, "", ""}}};
    wire::Error received;
    ASSERT_TRUE(received.ParseFromString(wire::to_wire(e).SerializeAsString()));
    const error back = wire::from_wire(received);
    EXPECT_EQ(back.code, e.code);
    EXPECT_EQ(back.message, "why");
    ASSERT_EQ(back.fields.size(), 2U);
    EXPECT_EQ(back.fields[0].loc, e.fields[0].loc);
    EXPECT_EQ(back.fields[0].msg, "m");
    EXPECT_EQ(back.fields[0].type, "t");
  }
  wire::Error newer;
  newer.set_code(200);
  newer.set_message("something new");
  EXPECT_EQ(wire::from_wire(newer).code, ec::internal);
  EXPECT_THAT(wire::from_wire(newer).message, HasSubstr("200"));
  EXPECT_THAT(wire::from_wire(newer).message, HasSubstr("something new"));
}

}  // namespace
}  // namespace lp::net::test
