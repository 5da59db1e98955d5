// SPDX-License-Identifier: MIT
#include "payments/authorization.hpp"

#include <gtest/gtest.h>

#include "payments/keccak.hpp"

namespace lp::payments {
namespace {

constexpr std::int64_t now = 1'000'000;

struct order {
  order() {
    a.orchestrator = orchestrator.address();
    a.job = "job-1";
    a.scope = "27_shapes-64";
    a.body_hash = keccak256("body");
    a.max_charge = 100;
    a.expires_at = now + 60;
    sign_authorization(a, gateway);
    facts = {orchestrator.address(), a.job, a.scope, a.body_hash, rational(100)};
  }
  std::string why() const {
    const auto r = check_authorization(a, facts, now);
    return r ? "fine" : r.error().message;
  }

  private_key gateway = private_key::generate();
  private_key orchestrator = private_key::generate();
  job_authorization a;
  job_facts facts;
};

TEST(authorization, covers_one_job_at_one_orchestrator) {
  EXPECT_EQ(order().why(), "fine");
  order o;
  o.facts.orchestrator = private_key::generate().address();
  EXPECT_EQ(o.why().find("authorisation: it is for orchestrator 0x"), 0U);
  o = order();
  o.facts.job = "job-2";
  EXPECT_EQ(o.why(), "authorisation: it is for another job");
  o = order();
  o.facts.scope = "27_large";
  EXPECT_EQ(o.why(), "authorisation: it is for another pipeline or model");
  o = order();
  o.facts.body_hash = keccak256("another body");
  EXPECT_EQ(o.why(), "authorisation: it is for another request body");
  o = order();
  o.facts.quoted = rational(1001, 10);
  EXPECT_EQ(check_authorization(o.a, o.facts, now).error().code, ec::over_budget);
}

TEST(authorization, every_field_is_signed) {
  const auto after = [](auto change) {
    order o;
    change(o.a);
    o.facts = {o.a.orchestrator, o.a.job, o.a.scope, o.a.body_hash, rational(1)};
    return o.why();
  };
  EXPECT_EQ(after([](auto&) {}), "fine");
  EXPECT_NE(after([](auto& a) { a.job = "job-2"; }), "fine");
  EXPECT_NE(after([](auto& a) { a.scope = "27_large"; }), "fine");
  EXPECT_NE(after([](auto& a) { a.body_hash = {}; }), "fine");
  EXPECT_NE(after([](auto& a) { a.max_charge = 101; }), "fine");
  EXPECT_NE(after([](auto& a) { a.expires_at += 1; }), "fine");
  EXPECT_NE(after([](auto& a) { a.orchestrator = {}; }), "fine");
  EXPECT_NE(after([](auto& a) { a.sender = private_key::generate().address(); }), "fine");
  // Fields have their length in front: bytes cannot move from one to the next.
  EXPECT_NE(after([](auto& a) {
              a.job += a.scope.substr(0, 1);
              a.scope.erase(0, 1);
            }),
            "fine");
}

TEST(authorization, does_not_live_long) {
  order o;
  const auto at = [&](std::int64_t seconds) {
    return check_authorization(o.a, o.facts, seconds).has_value();
  };
  EXPECT_TRUE(at(now + 59));
  EXPECT_FALSE(at(now + 60));
  EXPECT_TRUE(at(now + 60 - most_authorization_seconds));
  EXPECT_FALSE(at(now + 59 - most_authorization_seconds));
  o.a.expires_at = INT64_MAX;
  sign_authorization(o.a, o.gateway);
  EXPECT_FALSE(at(now));
}

TEST(authorization, has_a_job_identifier_of_bounded_length) {
  for (const std::string& job : {std::string(), std::string(129, 'x')}) {
    order o;
    o.a.job = o.facts.job = job;
    sign_authorization(o.a, o.gateway);
    EXPECT_NE(o.why(), "fine");
  }
}

TEST(requests, name_who_asks_whom_and_when) {
  const private_key from = private_key::generate();
  const address to = private_key::generate().address();
  const signature sig = from.sign_message(request_digest("quote", from.address(), to, now));
  const auto fine = [&](std::string_view what, const address& whom, std::int64_t at,
                        std::int64_t when) {
    return check_request(what, from.address(), whom, at, sig, when).has_value();
  };
  EXPECT_TRUE(fine("quote", to, now, now + 60));
  EXPECT_TRUE(fine("quote", to, now, now - 60));
  EXPECT_FALSE(fine("quote", to, now, now + 61));
  EXPECT_FALSE(fine("quote", to, now + 1, now));
  EXPECT_FALSE(fine("offer", to, now, now));
  EXPECT_FALSE(fine("quote", from.address(), now, now));
  EXPECT_FALSE(fine("quote", to, INT64_MIN, now));
  EXPECT_FALSE(fine("quote", to, INT64_MAX, now));
}

TEST(session_tokens, are_of_one_node_and_end) {
  const hash32 secret = keccak256("secret");
  const hash32 token = session_token(secret, "id", now + 5);
  EXPECT_TRUE(check_session_token(secret, "id", now + 5, token.view(), now));
  EXPECT_FALSE(check_session_token(secret, "id", now + 5, token.view(), now + 5));
  EXPECT_FALSE(check_session_token(secret, "id", now + 6, token.view(), now));
  EXPECT_FALSE(check_session_token(keccak256("other"), "id", now + 5, token.view(), now));
  EXPECT_FALSE(check_session_token(secret, "id", now + 5, token.view().substr(1), now));
  EXPECT_FALSE(check_session_token(secret, "id", now + 5, "", now));
  EXPECT_EQ(new_session_id().size(), 32U);
  EXPECT_NE(new_session_id(), new_session_id());
}

}  // namespace
}  // namespace lp::payments
