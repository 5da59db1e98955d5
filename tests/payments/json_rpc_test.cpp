// SPDX-License-Identifier: MIT
// What the client makes of nodes that answer late, wrongly or not at all. The nodes of tests/chain
// are real; these are the ones that are hard to come by.
#include "payments/chain/json_rpc.hpp"

#include <deque>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace lp::payments {
namespace {

namespace json = boost::json;
using testing::ElementsAre;
using testing::HasSubstr;

/// Gives prepared answers, one a request; "ID" in them stands for the request's id.
class prepared : public transport {
 public:
  result<answer> post(const std::string& url, const std::string& body, time_point) override {
    asked.push_back(url);
    if (answers.empty()) return fail(ec::unavailable, "nobody answers");
    auto next = std::move(answers.front());
    answers.pop_front();
    if (next) {
      const auto id = json::serialize(json::parse(body).at("id"));
      if (const auto at = next->body.find("ID"); at != std::string::npos) {
        next->body.replace(at, 2, id);
      }
    }
    return next;
  }
  std::deque<result<answer>> answers;
  std::vector<std::string> asked;
};

struct json_rpc_client : testing::Test {
  rpc_result<json::value> call() {
    rpc_options o;
    o.endpoints = {"a", "b"};
    o.first_delay = milliseconds(0);
    if (!client) client = std::make_unique<json_rpc>(node, o);
    return client->call("eth_test", {1}, clock::now() + seconds(20));
  }
  void answer(unsigned status, std::string body) {
    node->answers.emplace_back(transport::answer{status, std::move(body)});
  }

  std::shared_ptr<prepared> node = std::make_shared<prepared>();
  std::unique_ptr<json_rpc> client;
};

TEST_F(json_rpc_client, asks_another_endpoint_while_one_is_out_of_order) {
  node->answers.emplace_back(fail(ec::unavailable, "refused"));
  answer(503, "overloaded");
  answer(200, "no JSON");
  answer(200, R"({"jsonrpc":"2.0","id":ID,"result":"0x1"})");
  const auto r = call();
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(*r, "0x1");
  EXPECT_THAT(node->asked, ElementsAre("a", "b", "a", "b"));
  // The one that answered is asked first from now on.
  answer(200, R"({"jsonrpc":"2.0","id":ID,"result":"0x2"})");
  ASSERT_TRUE(call());
  EXPECT_EQ(node->asked.back(), "b");
}

TEST_F(json_rpc_client, gives_up_after_a_bounded_number_of_tries) {
  const auto r = call();
  ASSERT_FALSE(r);
  EXPECT_FALSE(r.error().answered);
  EXPECT_EQ(r.error().code, ec::unavailable);
  EXPECT_EQ(node->asked.size(), 4U);
}

TEST_F(json_rpc_client, does_not_ask_again_where_a_node_has_decided) {
  answer(200, R"({"jsonrpc":"2.0","id":ID,"error":{"code":-32000,"message":"nonce too low"}})");
  const auto r = call();
  ASSERT_FALSE(r);
  EXPECT_TRUE(r.error().answered);
  EXPECT_FALSE(r.error().reverted);
  EXPECT_EQ(r.error().node_code, -32000);
  EXPECT_THAT(r.error().message, HasSubstr("nonce too low"));
  EXPECT_EQ(node->asked.size(), 1U);
}

TEST_F(json_rpc_client, reads_why_a_contract_refused_in_every_form_that_nodes_use) {
  const std::string data =
      "\"0x08c379a0"
      "0000000000000000000000000000000000000000000000000000000000000020"
      "000000000000000000000000000000000000000000000000000000000000000e"
      "7469636b65742069732075736564000000000000000000000000000000000000\"";
  for (const std::string& form :
       {R"({"code":3,"message":"execution reverted: ticket is used","data":)" + data + "}",
        R"({"code":-32603,"message":"reverted","data":{"message":"x","data":)" + data + "}}"}) {
    answer(200, R"({"jsonrpc":"2.0","id":ID,"error":)" + form + "}");
    const auto r = call();
    ASSERT_FALSE(r);
    EXPECT_TRUE(r.error().reverted);
    EXPECT_EQ(r.error().message, "the contract refuses: ticket is used");
  }
}

TEST_F(json_rpc_client, takes_no_answer_to_another_question) {
  for (int i = 0; i < 4; ++i) answer(200, R"({"jsonrpc":"2.0","id":999,"result":"0x1"})");
  const auto r = call();
  ASSERT_FALSE(r);
  EXPECT_FALSE(r.error().answered);
}

TEST_F(json_rpc_client, a_node_s_words_do_not_steer_the_terminal) {
  answer(200, R"({"jsonrpc":"2.0","id":ID,"error":{"code":1,"message":"\u001b[2Jgone"}})");
  EXPECT_EQ(call().error().message, " [2Jgone");
}

}  // namespace
}  // namespace lp::payments
