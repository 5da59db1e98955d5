// SPDX-License-Identifier: MIT
#include "actors/membership.hpp"

#include <gtest/gtest.h>

namespace lp::actors {
namespace {

wire::Hello named(const std::string& name, const std::string& cluster = "test") {
  wire::Hello h;
  h.set_cluster(cluster);
  h.set_protocol(1);
  h.set_node(name);
  h.set_role("worker");
  return h;
}

const wire::Hello ours = named("orch");

TEST(membership, a_name_that_is_taken_is_refused_and_its_holder_stays) {
  membership m;
  ASSERT_TRUE(m.greet(ours, named("w"), "1", "10.0.0.1:4000"));
  const auto second = m.greet(ours, named("w"), "2", "10.0.0.2:4000");
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("taken by the worker at 10.0.0.1:4000"), std::string::npos);
  EXPECT_EQ(m.name_of("1"), "w");
  EXPECT_FALSE(m.name_of("2"));
  // Once the first is gone the name is free.
  m.forget("1");
  EXPECT_TRUE(m.greet(ours, named("w"), "2", "10.0.0.2:4000"));
}

TEST(membership, hello_may_be_said_again) {
  membership m;
  EXPECT_TRUE(m.greet(ours, named("w"), "1", "10.0.0.1:4000"));
  EXPECT_TRUE(m.greet(ours, named("w"), "1", "10.0.0.1:4001"));
}

TEST(membership, other_clusters_the_own_name_and_no_name_are_refused) {
  membership m;
  EXPECT_FALSE(m.greet(ours, named("w", "other"), "1", ""));
  EXPECT_FALSE(m.greet(ours, named("orch"), "1", ""));
  EXPECT_FALSE(m.greet(ours, named(""), "1", ""));
  EXPECT_FALSE(m.greet(ours, named(std::string(300, 'x')), "1", ""));
  EXPECT_FALSE(m.name_of("1"));
}

}  // namespace
}  // namespace lp::actors
