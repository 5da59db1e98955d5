// SPDX-License-Identifier: MIT
#include "tests/chain/fixture.hpp"

#include <cstdlib>
#include <iostream>

namespace lp::payments::test {

bool without_chain() {
  const auto found = runtime::find_chain_tools();
  // Where it is meant to be there, a missing one is a failure and no reason to skip.
  if (!found && std::getenv("LP_NEED_CHAIN")) throw std::runtime_error(found.error().message);
  return !found;
}

namespace {

std::unique_ptr<runtime::dev_chain> start(const runtime::dev_chain_options& options) {
  auto out = runtime::dev_chain::start(options, soon());
  if (!out) throw std::runtime_error(render(out.error()));
  return std::move(*out);
}

}  // namespace

world::world(runtime::dev_chain_options options, const u256& deposit, const u256& reserve)
    : chain(start(options)),
      broker(chain->client(), chain->contracts().ticket_broker),
      rounds(chain->client(), chain->contracts().rounds_manager),
      bonding(chain->client(), chain->contracts().bonding_manager) {
  policy.poll_interval = milliseconds(2);
  get(chain->add_orchestrator(orchestrator, "https://127.0.0.1:8935", soon()));
  get(chain->add_sender(sender, deposit, reserve, soon()));
}

// Tickets of one number share parameters; here each has its own.
hash32 world::rand_of(std::uint32_t nonce) {
  return keccak256("the recipient's number " + std::to_string(nonce));
}

redeemable_ticket world::sign(ticket t) const {
  redeemable_ticket out;
  out.signed_by_sender = sender.sign_message(ticket_hash(t));
  out.recipient_rand = rand_of(t.nonce);
  out.content = std::move(t);
  return out;
}

redeemable_ticket world::winner(std::uint32_t nonce, const u256& face_value) const {
  const round_state round = get(rounds.state(soon()));
  ticket t;
  t.recipient = orchestrator.address();
  t.sender = sender.address();
  t.face_value = face_value;
  t.win_prob = max_u256();
  t.nonce = nonce;
  t.recipient_rand_hash = rand_hash(rand_of(nonce));
  t.made = {round.last_initialized, round.block_hash};
  return sign(std::move(t));
}

}  // namespace lp::payments::test
