// SPDX-License-Identifier: MIT
// Ways to get work without paying, or money without working, each on real ledgers and signatures.
#include <functional>

#include <gtest/gtest.h>

#include "tests/paid/market.hpp"

namespace lp::testing {
namespace {

using outcome = actors::settlement::outcome;
using payments::rational;

// A unit costs ten tickets' worth.
constexpr const char* unit_price = "80 gwei";

std::string says(const result<std::string>& r) {
  return r ? "admitted " + *r : render(r.error());
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class attacks : public ::testing::Test {
 protected:
  // A job that is paid and would be admitted.
  wire::JobRequest good_job(const std::string& id = "job") {
    EXPECT_TRUE(gateway.get_terms(orch));
    const auto r = gateway.pay(orch, id);
    EXPECT_TRUE(r) << render(r.error());
    return *r;
  }
  std::string admitted(const std::string& id) {
    return "admitted " + gateway.wallet->address().hex() + "/" + id + "@orch";
  }
  rational credit() { return orch.account(gateway.wallet->address()).credit; }

  scratch_folder folder;
  seller orch{folder.path(), "orch", unit_price};
  seller other{folder.path(), "other", unit_price};
  buyer gateway{folder.path()};
};

TEST_F(attacks, an_honest_job_is_admitted_and_charged_for_what_was_done) {
  ASSERT_EQ(says(gateway.trade(orch, "1")), admitted("1"));
  EXPECT_EQ(orch.account(gateway.wallet->address()).reserved, rational(80'000'000'000));
  orch.finish(gateway, "1", 1);
  gateway.settle(orch, "1", outcome::delivered, 1);
  EXPECT_EQ(orch.account(gateway.wallet->address()).reserved, 0);
  EXPECT_EQ(credit(), gateway.account(orch).credit) << "both sides count the same";
}

TEST_F(attacks, a_failed_job_gives_its_credit_back_and_the_next_needs_no_tickets) {
  ASSERT_TRUE(gateway.trade(orch, "1"));
  orch.finish(gateway, "1", 0);
  gateway.settle(orch, "1", outcome::returned, 0);
  EXPECT_GE(credit(), rational(80'000'000'000));
  const auto again = gateway.pay(orch, "2");
  ASSERT_TRUE(again) << render(again.error());
  EXPECT_FALSE(again->has_payment());
  EXPECT_EQ(says(orch.admit(*again)), admitted("2"));
  orch.finish(gateway, "2", 1);
  gateway.settle(orch, "2", outcome::delivered, 1);
  EXPECT_EQ(credit(), gateway.account(orch).credit);
}

TEST_F(attacks, nobody_is_charged_for_more_than_was_quoted_or_for_less_than_nothing) {
  ASSERT_TRUE(gateway.trade(orch, "1"));
  const rational before = credit();
  orch.finish(gateway, "1", 1e300);
  EXPECT_EQ(credit(), before);
  ASSERT_TRUE(gateway.trade(orch, "2"));
  const payments::account held = orch.account(gateway.wallet->address());
  orch.finish(gateway, "2", -5);
  EXPECT_EQ(credit(), held.credit + held.reserved);
  orch.finish(gateway, "2", 1);  // over already
  EXPECT_EQ(credit(), held.credit + held.reserved);
}

TEST_F(attacks, a_request_cannot_be_used_twice) {
  const wire::JobRequest job = good_job();
  ASSERT_TRUE(orch.admit(job));
  EXPECT_TRUE(contains(says(orch.admit(job)), "used")) << says(orch.admit(job));
  orch.finish(gateway, "job", 0);
  EXPECT_FALSE(orch.admit(job)) << "not even when the job is over";
}

TEST_F(attacks, a_ticket_is_worth_something_once) {
  const wire::JobRequest first = good_job("1");
  ASSERT_TRUE(orch.admit(first));
  orch.finish(gateway, "1", 1);
  gateway.settle(orch, "1", outcome::delivered, 1);
  const rational before = credit();
  // A new job of the same sender with the old tickets.
  wire::JobRequest second = *gateway.pay(orch, "2");
  *second.mutable_payment() = first.payment();
  second.clear_terms();
  EXPECT_TRUE(contains(says(orch.admit(second)), "payment_required")) << says(orch.admit(second));
  EXPECT_EQ(credit(), before);
}

TEST_F(attacks, what_is_for_one_orchestrator_is_nothing_to_another) {
  wire::JobRequest job = good_job();
  EXPECT_TRUE(contains(says(other.admit(job)), "invalid ticket recipient"))
      << says(other.admit(job));
  // Its payment replaced by one for the other: the authorisation is still for the first.
  ASSERT_TRUE(gateway.get_terms(other));
  const wire::JobRequest second = *gateway.pay(other, "job");
  *job.mutable_payment() = second.payment();
  EXPECT_TRUE(contains(says(other.admit(job)), "unauthorized")) << says(other.admit(job));
  EXPECT_TRUE(other.admit(second));
}

TEST_F(attacks, standing_credit_is_spent_by_nobody_else) {
  ASSERT_TRUE(gateway.trade(orch, "1"));
  orch.finish(gateway, "1", 0);
  gateway.settle(orch, "1", outcome::returned, 0);
  const wire::JobRequest from_credit = *gateway.pay(orch, "2");
  ASSERT_TRUE(from_credit.has_terms());
  EXPECT_TRUE(contains(says(other.admit(from_credit)), "not of this orchestrator"));

  wire::JobRequest changed = from_credit;
  changed.set_params_json(R"({"data": "something else"})");
  EXPECT_TRUE(contains(says(orch.admit(changed)), "unauthorized")) << says(orch.admit(changed));
  changed = from_credit;
  changed.set_id("3");
  EXPECT_TRUE(contains(says(orch.admit(changed)), "unauthorized")) << says(orch.admit(changed));
  changed = from_credit;
  changed.clear_authorisation();
  EXPECT_TRUE(contains(says(orch.admit(changed)), "brings no authorisation"));
  changed = from_credit;
  changed.clear_terms();
  EXPECT_TRUE(contains(says(orch.admit(changed)), "neither a payment nor terms"));
  changed = from_credit;
  changed.mutable_authorisation()->set_max_charge(std::string(33, '\x7f'));
  EXPECT_TRUE(contains(says(orch.admit(changed)), "max_charge")) << says(orch.admit(changed));
  changed = from_credit;
  changed.mutable_authorisation()->set_max_charge("");
  EXPECT_FALSE(orch.admit(changed));
  changed = from_credit;
  changed.mutable_authorisation()->set_expires_at(INT64_MAX);
  EXPECT_FALSE(orch.admit(changed));
  changed = from_credit;
  changed.mutable_authorisation()->set_expires_at(-1);
  EXPECT_FALSE(orch.admit(changed));

  // A thief with a key of its own and the victim's terms.
  const scratch_folder den;
  buyer thief(den.path());
  changed = from_credit;
  ASSERT_TRUE(thief.get_terms(orch));
  const wire::JobRequest stolen = *thief.pay(orch, "2");
  *changed.mutable_authorisation() = stolen.authorisation();
  EXPECT_TRUE(contains(says(orch.admit(changed)), "for another sender"))
      << says(orch.admit(changed));

  EXPECT_TRUE(orch.admit(from_credit)) << "it was good all the time";
}

TEST_F(attacks, one_ticket_sent_many_times_counts_once) {
  wire::JobRequest job = good_job();
  auto& all = *job.mutable_payment()->mutable_ticket_sender_params();
  ASSERT_EQ(all.size(), 10);
  for (int i = 1; i < all.size(); ++i) all[i] = all[0];
  EXPECT_FALSE(orch.admit(job));
  EXPECT_LE(credit(), rational(8'000'000'001));
  EXPECT_EQ(orch.account(gateway.wallet->address()).reserved, 0);
}

struct change {
  const char* name;
  std::function<void(wire::JobRequest&)> make;
};

class changed_payments : public attacks, public ::testing::WithParamInterface<change> {};

TEST_P(changed_payments, are_refused_and_credit_nothing) {
  wire::JobRequest job = good_job();
  ASSERT_TRUE(job.has_payment());
  GetParam().make(job);
  const auto admitted = orch.admit(job);
  EXPECT_FALSE(admitted);
  EXPECT_NE(admitted.error().code, ec::internal) << render(admitted.error());
  EXPECT_EQ(credit(), 0);
  EXPECT_EQ(orch.account(gateway.wallet->address()).reserved, 0);
}

rpc::TicketParams& params(wire::JobRequest& r) {
  return *r.mutable_payment()->mutable_ticket_params();
}

void flip(std::string& bytes, std::size_t at) {
  bytes.at(at) = static_cast<char>(bytes.at(at) ^ 1);
}

// Replaces s by the curve's order minus s: the same signature to a verifier that takes both.
std::string with_high_s(const std::string& sig) {
  const payments::integer order(
      "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
  payments::hash32 s;
  std::copy(sig.begin() + 32, sig.begin() + 64, s.bytes.begin());
  const auto high = payments::to_u256(order - payments::integer(payments::to_u256(s)), "s");
  std::string out = sig;
  out.replace(32, 32, payments::to_bytes32(*high).str());
  out.back() = out.back() == 27 ? 28 : 27;
  return out;
}

void every_signature(wire::JobRequest& r, const std::function<void(std::string&)>& f) {
  for (auto& t : *r.mutable_payment()->mutable_ticket_sender_params()) f(*t.mutable_sig());
}

INSTANTIATE_TEST_SUITE_P(
    all, changed_payments,
    ::testing::Values(
        change{"recipient", [](auto& r) { flip(*params(r).mutable_recipient(), 3); }},
        change{"face_value", [](auto& r) { flip(*params(r).mutable_face_value(), 0); }},
        change{"win_prob", [](auto& r) { flip(*params(r).mutable_win_prob(), 0); }},
        change{"certain_win", [](auto& r) { params(r).set_win_prob(std::string(32, '\xff')); }},
        change{"rand_hash", [](auto& r) { flip(*params(r).mutable_recipient_rand_hash(), 9); }},
        change{"seed", [](auto& r) { flip(*params(r).mutable_seed(), 20); }},
        change{"expiration_block",
               [](auto& r) { params(r).set_expiration_block(std::string(8, '\x7f')); }},
        change{"round",
               [](auto& r) {
                 r.mutable_payment()->mutable_expiration_params()->set_creation_round(7);
               }},
        change{"lower_price",
               [](auto& r) { r.mutable_payment()->mutable_expected_price()->set_priceperunit(1); }},
        change{"more_units_for_the_price",
               [](auto& r) {
                 r.mutable_payment()->mutable_expected_price()->set_pixelsperunit(INT64_MAX);
               }},
        change{"zero_price",
               [](auto& r) { r.mutable_payment()->mutable_expected_price()->set_priceperunit(0); }},
        change{
            "negative_price",
            [](auto& r) { r.mutable_payment()->mutable_expected_price()->set_priceperunit(-1); }},
        change{"no_price", [](auto& r) { r.mutable_payment()->clear_expected_price(); }},
        change{"no_tickets", [](auto& r) { r.mutable_payment()->clear_ticket_sender_params(); }},
        change{"no_params", [](auto& r) { r.mutable_payment()->clear_ticket_params(); }},
        change{"empty_payment", [](auto& r) { r.mutable_payment()->Clear(); }},
        change{"another_sender", [](auto& r) { flip(*r.mutable_payment()->mutable_sender(), 0); }},
        change{"zero_sender",
               [](auto& r) { r.mutable_payment()->set_sender(std::string(20, '\0')); }},
        change{"forged_signatures",
               [](auto& r) { every_signature(r, [](std::string& sig) { flip(sig, 40); }); }},
        change{
            "high_s_signatures",
            [](auto& r) { every_signature(r, [](std::string& sig) { sig = with_high_s(sig); }); }},
        change{"compact_signatures",
               [](auto& r) { every_signature(r, [](std::string& sig) { sig.resize(64); }); }},
        change{"odd_recovery_ids",
               [](auto& r) { every_signature(r, [](std::string& sig) { sig.back() = '\0'; }); }},
        change{"other_nonces",
               [](auto& r) {
                 for (auto& ticket : *r.mutable_payment()->mutable_ticket_sender_params()) {
                   ticket.set_sender_nonce(ticket.sender_nonce() + 100);
                 }
               }},
        change{"authorisation_of_high_s",
               [](auto& r) {
                 auto& sig = *r.mutable_authorisation()->mutable_signature();
                 sig = with_high_s(sig);
               }},
        change{"no_authorisation", [](auto& r) { r.clear_authorisation(); }},
        change{"a_larger_job",
               [](auto& r) { r.set_params_json("{\"steps\": 100000, \"delay_ms\": 600000}"); }}),
    [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace lp::testing
