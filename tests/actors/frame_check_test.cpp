// SPDX-License-Identifier: MIT
// What passes into a node, and what does not.
#include "actors/frame_check.hpp"

#include <gtest/gtest.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_serializer.hpp>

#include "actors/errors.hpp"
#include "actors/frame_rules.hpp"
#include "actors/protocol.hpp"
#include "tests/basp.hpp"

namespace lp::actors {
namespace {

namespace basp = testing::basp;
using side = frame_check::side;
using fate = frame_check::fate;

struct settings : caf::actor_system_config {
  settings() { add_message_types<caf::id_block::lp_actors>(); }
};

class frame_check_test : public ::testing::Test {
 protected:
  // Without a network the system has no id of its own.
  frame_check_test() { rules.own_node = basp::node('o'); }

  std::string by_caf(const caf::message& what) {
    std::vector<char> out;
    caf::binary_serializer sink(system, out);
    std::vector<caf::strong_actor_ptr> passed_on;
    EXPECT_FALSE(sink(passed_on, what));
    return {out.begin(), out.end()};
  }
  /// A check of a connection over which both handshakes went.
  frame_check greeted() {
    frame_check c(rules, side::accepted);
    EXPECT_TRUE(c.check(basp::client_handshake(peer)));
    EXPECT_TRUE(c.check(basp::client_handshake(peer, 2)));
    return c;
  }
  std::string sent(const std::string& body, std::uint64_t data = basp::async_message) {
    return basp::frame({2, 0, data, 7, 8}, body);
  }
  bool passes(const std::string& frame) { return greeted().check(frame).has_value(); }
  static std::uint64_t atom(caf::atom_value a) { return static_cast<std::uint64_t>(a); }

  settings config;
  caf::actor_system system{config};
  frame_rules rules = rules_of(system);
  std::string peer = basp::node('p');
  static constexpr std::uint64_t response = 9ULL << 60U;
};

TEST_F(frame_check_test, lets_pass_what_nodes_say_as_caf_writes_it) {
  const caf::message asked[] = {caf::make_message(hello_atom_v, hello()),
                                caf::make_message(run_atom_v, job_request()),
                                caf::make_message(done_atom_v, job_result()),
                                caf::make_message(failed_atom_v, job_failure()),
                                caf::make_message(cancel_atom_v, std::string("job")),
                                caf::make_message(read_atom_v, chunk_request()),
                                caf::make_message(terms_atom_v, terms_request()),
                                caf::make_message(announce_atom_v, announcement())};
  for (const caf::message& m : asked) EXPECT_TRUE(passes(sent(by_caf(m)))) << caf::to_string(m);
  const caf::message answered[] = {
      caf::make_message(hello()), caf::make_message(chunk()), caf::make_message(terms()),
      caf::make_message(to_caf({ec::bad_request, "why", {}})),
      caf::make_message(caf::make_error(caf::sec::unexpected_message))};
  for (const caf::message& m : answered) {
    EXPECT_TRUE(passes(sent(by_caf(m), response | 5))) << caf::to_string(m);
    EXPECT_FALSE(passes(sent(by_caf(m)))) << caf::to_string(m);
  }
}

TEST_F(frame_check_test, takes_handles_of_the_peers_own_actors_alone) {
  const auto watch = [&](std::uint64_t actor, const std::string& node) {
    return sent(basp::message("@<>+@atom+@strong_actor_ptr",
                              basp::number(atom(watch_atom::value)) + basp::number(actor) + node));
  };
  EXPECT_TRUE(passes(watch(6, peer)));
  EXPECT_FALSE(passes(watch(0, peer)));
  EXPECT_FALSE(passes(watch(6, rules.own_node)));
  EXPECT_FALSE(passes(watch(6, basp::node('x'))));
  EXPECT_FALSE(passes(watch(6, std::string(8, '\0'))));
}

TEST_F(frame_check_test, a_handshake_without_a_body_is_none) {
  for (const side s : {side::accepted, side::dialled}) {
    for (int operation = 0; operation < 256; ++operation) {
      for (const std::uint64_t data : {0, 3}) {
        const basp::head h{static_cast<std::uint8_t>(operation), 0, data, 0, 0};
        EXPECT_FALSE(frame_check(rules, s).check(basp::frame(h, ""))) << operation;
      }
    }
  }
}

TEST_F(frame_check_test, who_dialled_speaks_first_and_shows_one_id) {
  EXPECT_FALSE(frame_check(rules, side::accepted).check(basp::server_handshake(peer)));
  EXPECT_FALSE(frame_check(rules, side::dialled).check(basp::client_handshake(peer)));
  EXPECT_FALSE(frame_check(rules, side::accepted).check(basp::client_handshake(rules.own_node)));
  EXPECT_FALSE(frame_check(rules, side::accepted).check(basp::client_handshake(peer, 2)));
  EXPECT_FALSE(frame_check(rules, side::accepted)
                   .check(sent(by_caf(caf::make_message(hello_atom_v, hello())))));
  EXPECT_FALSE(greeted().check(basp::client_handshake(peer, 2)));
  frame_check two(rules, side::accepted);
  ASSERT_TRUE(two.check(basp::client_handshake(peer)));
  EXPECT_FALSE(two.check(basp::client_handshake(basp::node('q'), 2)));
  EXPECT_EQ(two.peer(), peer);
}

TEST_F(frame_check_test, a_listener_shows_an_id_and_what_it_publishes) {
  frame_check good(rules, side::dialled);
  EXPECT_TRUE(good.check(basp::server_handshake(peer)));
  EXPECT_TRUE(good.established());
  EXPECT_FALSE(good.check(basp::server_handshake(peer)));
  EXPECT_FALSE(frame_check(rules, side::dialled).check(basp::server_handshake(rules.own_node)));
  EXPECT_FALSE(frame_check(rules, side::dialled).check(basp::server_handshake(peer, "x", 0)));
  const std::string whole = basp::server_handshake(peer).substr(frame_head_size);
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    const std::string part = basp::frame({0, 0, 3, 0, 0}, whole.substr(0, cut));
    EXPECT_FALSE(frame_check(rules, side::dialled).check(part)) << cut;
  }
}

TEST_F(frame_check_test, lengths_are_refused_with_the_head) {
  const frame_check fresh(rules, side::accepted);
  EXPECT_FALSE(fresh.length(basp::frame_of_length({1, 0, 0, 0, 0}, 0xffffffff)));
  EXPECT_FALSE(greeted().length(basp::frame_of_length({2, 0, basp::async_message, 7, 8}, 1 << 30)));
  EXPECT_FALSE(greeted().length(basp::frame_of_length({5, 0, 0, 7, 0}, 1 << 20)));
  EXPECT_TRUE(greeted().length(basp::frame_of_length({2, 0, basp::async_message, 7, 8}, 1 << 20)));
}

TEST_F(frame_check_test, messages_of_cafs_own_do_not_pass) {
  const auto exit = by_caf(caf::make_message(caf::exit_msg{{}, caf::exit_reason::kill}));
  EXPECT_FALSE(passes(sent(exit)));
  EXPECT_FALSE(passes(sent(by_caf(caf::make_message(caf::exit_reason::kill)))));
  EXPECT_FALSE(passes(sent(by_caf(caf::make_message(caf::make_message(1))))));
  EXPECT_FALSE(passes(sent(by_caf(caf::make_message(std::string("text"))))));
  const std::string link = basp::number(atom(caf::link_atom::value)) + basp::number(6) + peer;
  EXPECT_FALSE(passes(sent(basp::message("@<>+@atom+@strong_actor_ptr", link))));
  // The category of CAF's streams, whose messages are taken for what they say they are.
  const std::string body = by_caf(caf::make_message(cancel_atom_v, std::string("job")));
  EXPECT_TRUE(passes(sent(body)));
  EXPECT_FALSE(passes(sent(body, 2ULL << 60U)));
  EXPECT_FALSE(passes(sent(body, 3ULL << 60U)));
  EXPECT_FALSE(passes(basp::frame({3, 0, basp::async_message, 7, 8}, body)));
  // To the actor that starts others.
  EXPECT_FALSE(passes(basp::frame({2, 1, basp::async_message, 7, 0x3ddd66f3376adfb}, body)));
}

TEST_F(frame_check_test, the_question_for_the_spawning_actor_is_not_passed_on) {
  const std::string body =
      by_caf(caf::make_message(caf::sys_atom::value, caf::get_atom::value, std::string("info")));
  const auto f =
      greeted().check(basp::frame({2, 1, basp::async_message, 7, 0x3ddd66f3376adfb}, body));
  ASSERT_TRUE(f);
  EXPECT_EQ(*f, fate::ignore);
}

TEST_F(frame_check_test, a_body_cut_anywhere_or_with_more_behind_is_refused) {
  wire::JobFailure failure;
  failure.set_id("job");
  const std::string whole = by_caf(caf::make_message(failed_atom_v, job_failure(failure)));
  ASSERT_TRUE(passes(sent(whole)));
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    EXPECT_FALSE(passes(sent(whole.substr(0, cut)))) << cut;
  }
  EXPECT_FALSE(passes(sent(whole + '\0')));
  // A length of four billion inside.
  EXPECT_FALSE(passes(sent(basp::message(
      "@<>+@atom+@str", basp::number(atom(cancel_atom::value)) + "\xff\xff\xff\xff\x0fx"))));
}

TEST_F(frame_check_test, nodes_watch_and_report_their_own_actors_alone) {
  const std::string& own = rules.own_node;
  const std::string other = basp::node('x');
  const std::string reason =
      std::string("\x04", 1) + basp::number(0xfabdbb9) + std::string(2, '\0') + basp::text("@<>");
  EXPECT_TRUE(passes(basp::frame({4, 0, 0, 0, 8}, peer + own)));
  EXPECT_FALSE(passes(basp::frame({4, 0, 0, 0, 8}, other + own)));
  EXPECT_FALSE(passes(basp::frame({4, 0, 0, 0, 8}, peer + other)));
  EXPECT_TRUE(passes(basp::frame({5, 0, 0, 7, 0}, peer + own + reason)));
  EXPECT_FALSE(passes(basp::frame({5, 0, 0, 7, 0}, other + own + reason)));
  EXPECT_FALSE(passes(basp::frame({5, 0, 0, 7, 0}, peer + own)));
  EXPECT_FALSE(passes(basp::frame({5, 0, 0, 7, 0}, peer + own + reason + reason)));
  EXPECT_TRUE(passes(basp::frame({6, 0, 0, 0, 0}, "")));
}

TEST_F(frame_check_test, a_peer_has_a_bounded_number_of_actors) {
  frame_check c = greeted();
  std::size_t taken = 0;
  while (c.speaks(taken + 1) && taken < 1'000'000) ++taken;
  EXPECT_EQ(taken, 65'536U);
  EXPECT_TRUE(c.speaks(1));
  // The end of one makes room for another.
  const std::string reason =
      std::string("\x04", 1) + basp::number(0xfabdbb9) + std::string(2, '\0') + basp::text("@<>");
  ASSERT_TRUE(c.check(basp::frame({5, 0, 0, 7, 0}, peer + rules.own_node + reason)));
  EXPECT_TRUE(c.speaks(1'000'000));
}

TEST_F(frame_check_test, says_what_answers_where_no_node_is) {
  EXPECT_NE(frame_check::guess("HTTP/1.1 400 Bad Request").find("HTTP"), std::string::npos);
  EXPECT_NE(frame_check::guess(std::string("\x15\x03\x03\x00\x02", 5)).find("TLS"),
            std::string::npos);
}

}  // namespace
}  // namespace lp::actors
