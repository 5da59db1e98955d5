// SPDX-License-Identifier: MIT
#include "payments/chain/chain_watch.hpp"

#include <gmock/gmock.h>

#include "payments/chain/wallet.hpp"
#include "runtime/chain/http_transport.hpp"
#include "tests/chain/fixture.hpp"

namespace lp::payments {
namespace {

using test::ether;
using test::get;
using test::soon;
using test::world;

TEST(chain_watch_on_chain, follows_blocks_and_the_money_of_senders) {
  LP_NEEDS_CHAIN();
  const world w;
  chain_watch_options o;
  o.recipient = w.orchestrator.address();
  o.view_every = milliseconds(50);
  o.funds_every = milliseconds(50);
  chain_watch watch(w.client(), w.chain->contracts(), o);
  EXPECT_EQ(get(watch.view()).pool_size, 1U);
  EXPECT_EQ(get(watch.funds(w.sender.address())).deposit, ether(1000));
  EXPECT_EQ(get(watch.funds(w.orchestrator.address())).deposit, 0);

  const std::uint64_t block = get(watch.view()).l1_block;
  wallet own(w.client(), w.sender, w.chain->chain_id(), w.policy);
  get(own.execute(w.broker.fund(ether(5), 0), soon()));
  const auto changed = [&] {
    return get(watch.view()).l1_block > block &&
           get(watch.funds(w.sender.address())).deposit == ether(1005);
  };
  for (const time_point end = soon(); !changed() && clock::now() < end;) {
    watch.refresh(w.sender.address());
  }
  EXPECT_TRUE(changed());
}

TEST(chain_watch_on_chain, says_so_when_no_node_answers) {
  rpc_options nowhere;
  nowhere.endpoints = {"http://127.0.0.1:1"};
  nowhere.attempts = 1;
  auto client = std::make_shared<eth_client>(runtime::connect_rpc(nowhere));
  chain_watch watch(client, {}, {});
  const auto v = watch.view();
  ASSERT_FALSE(v);
  EXPECT_EQ(v.error().code, ec::unavailable);
  const auto f = watch.funds(address());
  ASSERT_FALSE(f);
  EXPECT_EQ(f.error().code, ec::unavailable);
}

TEST(chain_watch_on_chain, follows_a_bounded_number_of_senders) {
  rpc_options nowhere;
  nowhere.endpoints = {"http://127.0.0.1:1"};
  nowhere.attempts = 1;
  chain_watch_options o;
  o.max_senders = 1;
  chain_watch watch(std::make_shared<eth_client>(runtime::connect_rpc(nowhere)), {}, o);
  EXPECT_EQ(watch.funds(private_key::generate().address()).error().code, ec::unavailable);
  EXPECT_EQ(watch.funds(private_key::generate().address()).error().code, ec::busy);
}

}  // namespace
}  // namespace lp::payments
