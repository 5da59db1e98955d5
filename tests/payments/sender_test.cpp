// SPDX-License-Identifier: MIT
#include "payments/sender.hpp"

#include <gtest/gtest.h>

#include "tests/payments/parties.hpp"

namespace lp::payments {
namespace {

using testing::parties;

std::string why(const result<void>& r) {
  return r ? "fine" : r.error().message;
}

TEST(sender, counts_tickets_as_the_reference) {
  const auto count = [](rational existing, rational needed, rational ev) {
    return tickets_needed(existing, needed, ev);
  };
  EXPECT_EQ(count(2, 1, 1), 0);
  EXPECT_EQ(count(2, 2, 1), 0);
  EXPECT_EQ(count(1, 5, 1), 4);
  EXPECT_EQ(count(rational(1, 4), 2, 1), 2);
  EXPECT_EQ(count(-5, 2, 1), 7);
  EXPECT_EQ(count(0, 2, 1), 2);
}

TEST(sender, judges_an_offer) {
  const parties p;
  const ticket_params good = p.offer();
  const address& o = p.orchestrator.address();
  const sender_config config;
  const auto after = [&](auto change, std::optional<sender_funds> funds = {}) {
    ticket_params other = good;
    change(other);
    return why(check_offer(other, o, p.view, funds, config));
  };
  EXPECT_EQ(after([](auto&) {}), "fine");
  EXPECT_EQ(after([](auto& x) { x.expiration_block = 0; }), "ticketParams expiration block is 0");
  EXPECT_EQ(after([&](auto& x) { x.expiration_block = p.view.l1_block + 2; }), "fine");
  EXPECT_EQ(after([&](auto& x) {
              x.expiration_block = p.view.l1_block + 1;
            }).find("TicketParams expired"),
            0U);
  EXPECT_EQ(after([&](auto& x) { x.expiration_block = 1; }).find("TicketParams expired"), 0U);
  EXPECT_EQ(after([](auto& x) { x.win_prob = max_u256(); }).find("ticket faceValue too low"), 0U);
  EXPECT_EQ(after([](auto& x) { x.face_value *= 1000; }).find("ticket EV"), 0U);
  EXPECT_NE(after([](auto& x) { x.face_value = 0; }), "fine");
  EXPECT_NE(after([](auto& x) { x.win_prob = 0; }), "fine");
  EXPECT_NE(after([](auto& x) { x.recipient = {}; }), "fine");
  const auto nothing = [](auto&) {};
  EXPECT_EQ(after(nothing, sender_funds{good.face_value, 1, 0, 0, 0}), "fine");
  EXPECT_EQ(after(nothing, sender_funds{good.face_value - 1, 1, 0, 0, 0}).find("ticket faceValue"),
            0U);
  EXPECT_EQ(after(nothing, sender_funds{0, 1, 0, 0, 0}), "the sender has no deposit");
  EXPECT_EQ(after(nothing, sender_funds{good.face_value, 0, 0, 0, 0}), "the sender has no reserve");
  const auto expired = check_offer({o, 100, 1, {}, 1, 5, {}}, o, p.view, {}, config);
  EXPECT_EQ(expired.error().code, ec::payment_expired);
}

TEST(sender, refuses_a_raised_price) {
  const price start{rational(1, 7)};
  EXPECT_EQ(why(check_price(price{rational(2, 7)}, start, {})), "fine");
  const auto raised = check_price(price{rational(1, 3)}, start, {});
  ASSERT_FALSE(raised);
  EXPECT_EQ(raised.error().code, ec::over_budget);
  EXPECT_FALSE(check_price(price{rational(2, 7)}, start, start));
  EXPECT_FALSE(check_price(price{rational(-1)}, start, {}));
}

TEST(sender, stays_within_its_bounds) {
  sender_config config;
  config.max_total_ev = 100;
  EXPECT_EQ(plan_tickets(0, 100, 10, config).value(), 10U);
  EXPECT_EQ(plan_tickets(0, 101, 10, config).error().code, ec::over_budget);
  EXPECT_EQ(plan_tickets(5, 101, 10, config).value(), 10U);
  config.max_total_ev = 1'000'000;
  EXPECT_EQ(plan_tickets(0, 601, 1, config).error().code, ec::over_budget);
  EXPECT_FALSE(plan_tickets(0, 1, 0, config));
}

TEST(sender, signs_one_ticket_a_nonce) {
  const parties p;
  const ticket_params offer = p.offer();
  const auto tickets = sign_tickets(p.gateway, offer, 5, 3);
  ASSERT_EQ(tickets.size(), 3U);
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(tickets[i].nonce, 5 + i);
    const hash32 hash = ticket_hash(make_ticket(offer, p.gateway.address(), 5 + i));
    EXPECT_EQ(recover_message(hash, tickets[i].sig).value(), p.gateway.address());
  }
}

}  // namespace
}  // namespace lp::payments
