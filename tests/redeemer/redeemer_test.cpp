// SPDX-License-Identifier: MIT
#include "actors/redeemer.hpp"

#include <filesystem>

#include <gtest/gtest.h>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>

#include "tests/chain/fixture.hpp"

namespace lp::actors {
namespace {

namespace fs = std::filesystem;
using payments::redemption_state;
using payments::test::ether;
using payments::test::get;
using payments::test::soon;
using payments::test::world;

struct settings : caf::actor_system_config {
  settings() { add_message_types<caf::id_block::lp_actors>(); }
};

// As a payment would bring it.
payments::hash32 win(payments::ledger& book, const world& w) {
  const payments::redeemable_ticket t = w.winner(1);
  payments::checked_payment p;
  p.sender = t.content.sender;
  p.params.recipient = t.content.recipient;
  p.params.face_value = t.content.face_value;
  p.params.win_prob = t.content.win_prob;
  p.params.recipient_rand_hash = t.content.recipient_rand_hash;
  p.params.expiration_block = 1;
  p.params.made = t.content.made;
  p.agreed = payments::price{payments::rational(1)};
  p.recipient_rand = t.recipient_rand;
  p.ev = payments::expected_value(p.params);
  p.tickets = {{{1, t.signed_by_sender}, true}};
  if (get(book.receive(p).get()).winners != 1) throw std::runtime_error("no winner was taken");
  return payments::ticket_hash(t.content);
}

TEST(redeemer_actor, redeems_by_itself_what_lies_in_the_ledger) {
  LP_NEEDS_CHAIN();
  const world w;
  const fs::path folder = fs::temp_directory_path() / ("lp-redeemer-" + random_hex(8));
  fs::create_directories(folder);
  payments::ledger_options o;
  o.file = folder / "ledger.sqlite";
  const auto book = get(payments::ledger::open(o));
  const payments::hash32 ticket = win(*book, w);
  {
    settings config;
    caf::actor_system system(config);
    redeemer_options options;
    options.worker = std::make_shared<payments::redeemer>(*book, w.client(), w.chain->contracts(),
                                                          w.orchestrator, w.chain->chain_id(),
                                                          w.policy, payments::redeemer_config{});
    options.busy_interval = milliseconds(1);
    const redeemer_actor redeemer = spawn_redeemer(system, options);
    post(redeemer, step_atom_v);  // a nudge, as after a winning ticket
    for (const time_point end = soon(); clock::now() < end;) {
      if (get(book->winner(ticket)).state.state == redemption_state::mined) break;
    }
    caf::scoped_actor self(system);
    self->send_exit(redeemer, caf::exit_reason::user_shutdown);
  }
  const payments::redemption done = get(book->winner(ticket)).state;
  EXPECT_EQ(done.state, redemption_state::mined);
  EXPECT_EQ(done.paid, ether(10));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace lp::actors
