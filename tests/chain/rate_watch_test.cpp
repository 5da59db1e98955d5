// SPDX-License-Identifier: MIT
#include "payments/chain/rate_watch.hpp"

#include "runtime/chain/http_transport.hpp"
#include "tests/chain/fixture.hpp"

namespace lp::payments {
namespace {

using test::get;
using test::soon;
using test::world;

rate_watch_options often() {
  rate_watch_options o;
  o.refresh_every = milliseconds(5);
  return o;
}

bool soon_true(const std::function<bool()>& condition) {
  for (const time_point end = soon(); clock::now() < end;) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return false;
}

// Code that answers every call with the same five words, for decimals() the first of them, 8.
void say(const world& w, std::uint64_t price, std::uint64_t updated) {
  std::string code;
  const u256 words[] = {8, price, updated, updated, 8};
  for (std::size_t i = 0; i < 5; ++i) {
    code += '\x7f' + to_bytes32(words[i]).str();  // PUSH32 word
    code += std::string("\x60") + static_cast<char>(32 * i) + std::string(1, '\x52');  // MSTORE
  }
  code += std::string("\x60\xa0\x60\x00\xf3", 5);  // return 160 bytes
  get(w.client()->rpc().call("anvil_setCode",
                             {to_data(w.chain->price_feed().view()), to_data(code)}, soon()));
}

TEST(rate_watch, follows_an_aggregator) {
  LP_NEEDS_CHAIN();
  const world w;
  const rate_watch rates(w.client(), {{"usd", w.chain->price_feed()}}, often());
  EXPECT_EQ(get(rates.wei_per("usd")), rational(integer("1000000000000000000"), 3000));
  EXPECT_EQ(rates.wei_per("eur").error().code, ec::bad_config);
  get(w.chain->protocol().set_usd_per_eth(4000, soon()));
  EXPECT_TRUE(soon_true(
      [&] { return get(rates.wei_per("usd")) == rational(integer("1000000000000000000"), 4000); }));
}

TEST(rate_watch, keeps_the_last_good_rate_for_a_while_and_then_says_what_is_wrong) {
  LP_NEEDS_CHAIN();
  const world w;
  rate_watch_options o = often();
  const rate_watch patient(w.client(), {{"usd", w.chain->price_feed()}}, o);
  o.keep = milliseconds(1);
  const rate_watch strict(w.client(), {{"usd", w.chain->price_feed()}}, o);
  get(w.chain->protocol().set_usd_per_eth(-1, soon()));
  EXPECT_TRUE(soon_true([&] {
    const auto rate = strict.wei_per("usd");
    return !rate && rate.error().message.find("the price is not positive") != std::string::npos;
  })) << render(strict.wei_per("usd").error());
  EXPECT_EQ(strict.wei_per("usd").error().code, ec::unavailable);
  EXPECT_EQ(get(patient.wei_per("usd")), rational(integer("1000000000000000000"), 3000));
}

TEST(rate_watch, takes_no_rate_that_is_old_by_the_aggregators_own_time) {
  LP_NEEDS_CHAIN();
  const world w;
  rate_watch_options o = often();
  o.most_age = seconds(3600);
  const auto now = static_cast<std::uint64_t>(unix_ms() / 1000);
  say(w, 250'000'000'000, now - 4000);
  const rate_watch rates(w.client(), {{"usd", w.chain->price_feed()}}, o);
  const auto old = rates.wei_per("usd");
  ASSERT_FALSE(old);
  EXPECT_NE(old.error().message.find("s old"), std::string::npos) << old.error().message;
  say(w, 250'000'000'000, now - 3000);
  EXPECT_TRUE(soon_true([&] { return rates.wei_per("usd").has_value(); }));
  EXPECT_EQ(get(rates.wei_per("usd")), rational(integer("1000000000000000000"), 2500));
}

TEST(rate_watch, waits_for_no_node_that_is_silent) {
  rpc_options nowhere;
  nowhere.endpoints = {"http://127.0.0.1:1"};
  nowhere.attempts = 1;
  rate_watch_options o = often();
  o.patience = milliseconds(0);
  const rate_watch rates(std::make_shared<eth_client>(runtime::connect_rpc(nowhere)),
                         {{"usd", address()}}, o);
  EXPECT_EQ(rates.wei_per("usd").error().code, ec::unavailable);
}

}  // namespace
}  // namespace lp::payments
