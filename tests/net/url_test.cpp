// SPDX-License-Identifier: MIT
#include "net/url.hpp"

#include <gtest/gtest.h>

namespace lp::net {
namespace {

TEST(url, is_read_into_its_parts) {
  const auto plain = parse_url("http://127.0.0.1:8545");
  ASSERT_TRUE(plain);
  EXPECT_FALSE(plain->tls);
  EXPECT_EQ(plain->host, "127.0.0.1");
  EXPECT_EQ(plain->port, 8545);
  EXPECT_EQ(plain->target, "/");
  const auto secure = parse_url("https://node.example/v1/key?x=1");
  ASSERT_TRUE(secure);
  EXPECT_TRUE(secure->tls);
  EXPECT_EQ(secure->port, 443);
  EXPECT_EQ(secure->target, "/v1/key?x=1");
  const auto v6 = parse_url("http://[::1]:80?a");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host, "::1");
  EXPECT_EQ(v6->target, "/?a");
}

TEST(url, refuses_everything_else) {
  for (const char* text :
       {"", "node:80", "ftp://node", "http://", "http://:80", "http://node:0", "http://node:65536",
        "http://node:8o", "http://[::1", "http://[]", "http://[::1]x", "http://a b/", "http://n/#f",
        "http://user:secret@node/", "http://node:"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
}

TEST(url, an_error_does_not_tell_keys) {
  EXPECT_EQ(parse_url("http://node:0/v1/secret").error().message.find("secret"), std::string::npos);
  EXPECT_EQ(parse_url("http://u:secret@node").error().message.find("secret"), std::string::npos);
}

}  // namespace
}  // namespace lp::net
