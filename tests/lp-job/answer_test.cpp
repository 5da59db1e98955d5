// SPDX-License-Identifier: MIT
#include "tools/lp-job/answer.hpp"

#include <gtest/gtest.h>
#include <boost/json/parse.hpp>

#include "runtime/base/bytes.hpp"

namespace lp::job {
namespace {

namespace json = boost::json;

TEST(answer, is_read_whole) {
  const auto got = read_answer(json::parse(R"({
    "images": [{"url": "/media/a.png", "seed": 7, "nsfw": false}, {"url": "x", "seed": 8}],
    "job": {"id": "j1", "model": "shapes", "route": ["gateway", "orch-1", "worker-2"],
            "stages": [{"name": "text", "ms": 1.5}, {"name": "denoise", "ms": 200}],
            "notes": ["resized"]}})"));
  ASSERT_TRUE(got) << got.error().message;
  ASSERT_EQ(got->files.size(), 2u);
  EXPECT_EQ(got->files[0].url, "/media/a.png");
  EXPECT_EQ(got->files[1].seed, 8);
  EXPECT_EQ(got->model, "shapes");
  EXPECT_EQ(got->route, (std::vector<std::string>{"gateway", "orch-1", "worker-2"}));
  EXPECT_EQ(got->stages[1], (std::pair<std::string, double>{"denoise", 200}));
  EXPECT_EQ(got->notes, std::vector<std::string>{"resized"});
}

TEST(answer, may_lack_everything_that_is_not_the_references) {
  const auto got = read_answer(json::parse(R"({"images": []})"));
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->files.empty() && got->id.empty() && got->route.empty());
}

TEST(answer, of_another_form_is_refused) {
  for (const char* text :
       {R"({"images": 7})", R"({"images": [{}]})", R"({"images": [{"url": 7}]})",
        R"({"job": {"route": [1]}})", R"({"job": {"stages": [{"name": "x"}]}})"}) {
    EXPECT_FALSE(read_answer(json::parse(text))) << text;
  }
}

TEST(error_text, knows_the_forms_in_use) {
  EXPECT_EQ(error_text(400, R"({"detail":{"msg":"Prompt must be provided."}})"),
            "Prompt must be provided. (status 400)");
  EXPECT_EQ(error_text(422, R"({"detail":[{"loc":["body","width"],"msg":"too wide","type":"t"},
                                          {"loc":["body","items",2],"msg":"no","type":"t"}]})"),
            "width: too wide\nitems.2: no (status 422)");
  EXPECT_EQ(error_text(500, R"({"error":{"message":"broken"}})"), "broken (status 500)");
  EXPECT_EQ(error_text(503, "insufficient capacity\n"), "insufficient capacity\n (status 503)");
  EXPECT_EQ(error_text(502, ""), "status 502");
}

TEST(data_url, gives_its_bytes) {
  for (const std::string bytes : {"", "a", "ab", "abc", "abcd"}) {
    const auto got = data_url_bytes("data:image/png;base64," + to_base64(bytes));
    ASSERT_TRUE(got) << bytes;
    EXPECT_EQ(*got, bytes);
  }
  EXPECT_FALSE(data_url_bytes("data:image/png;base64,A"));
  EXPECT_FALSE(data_url_bytes("data:image/png;base64,****"));
  EXPECT_FALSE(data_url_bytes("data:image/png,abc"));
  EXPECT_FALSE(data_url_bytes("http://host/;base64,QUJD"));
}

}  // namespace
}  // namespace lp::job
